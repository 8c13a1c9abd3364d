// Wav files in and out, block by block. Nothing else knows RIFF.
#ifndef DPRNN_WAV_H_
#define DPRNN_WAV_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <memory>
#include <string>
#include <vector>

namespace dprnn {

constexpr int kMeanOfChannels = -1;

// Reads PCM of 16, 24 or 32 bits and floats of 32 or 64 bits, plain or WAVE_FORMAT_EXTENSIBLE, with any other chunks.
class WavReader {
 public:
  // Opens a file and checks its header. Throws Error: missing, not a wav, truncated, of another encoding, empty, or
  // without the channel asked for (0 is the first; kMeanOfChannels).
  WavReader(const std::string &path, int channel);
  // The same from any seekable stream; the name is for messages.
  WavReader(std::unique_ptr<std::istream> stream, std::string name, int channel);

  uint64_t frames() const { return frames_; }
  int sample_rate() const { return sample_rate_; }  // Hz
  int channels() const { return channels_; }

  // The next samples, in [-1, 1] at full scale; fewer than wanted only at the end.
  // Throws Error for NaN, infinite or missing samples.
  std::vector<float> Read(size_t wanted);

 private:
  void ReadHeader();
  void ReadFormat(uint32_t size);
  void FindSamples(uint32_t data_size, uint32_t riff_size);
  double Sample(const uint8_t *bytes) const;
  [[noreturn]] void Fail(const std::string &what) const;

  std::unique_ptr<std::istream> stream_;
  std::string name_;
  int channel_;
  uint64_t file_bytes_ = 0;
  uint64_t frames_ = 0;
  uint64_t done_ = 0;  // frames read
  int sample_rate_ = 0;
  int channels_ = 0;  // 0: no format chunk yet
  int bytes_ = 0;     // of one sample
  bool is_float_ = false;
};

// Writes mono 16-bit PCM under a temporary name; Commit gives it its own.
class WavWriter {
 public:
  // Throws Error if the folder cannot be written.
  WavWriter(std::filesystem::path path, int sample_rate, uint64_t frames);
  ~WavWriter();  // removes what was not committed
  WavWriter(const WavWriter &) = delete;
  WavWriter &operator=(const WavWriter &) = delete;

  // Samples in [-1, 1), rounded to 16 bits as src/audio/files.py does; what is beyond is clipped.
  void Write(const std::vector<float> &samples);
  void Commit();

 private:
  [[noreturn]] void Fail() const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::ofstream file_;
  bool committed_ = false;
};

}  // namespace dprnn

#endif  // DPRNN_WAV_H_
