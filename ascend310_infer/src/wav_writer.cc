#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>

#include "error.h"
#include "wav.h"

namespace dprnn {
namespace {

constexpr uint64_t kHeaderBytes = 44;
constexpr uint64_t kMostBytes = 0xFFFFFFFF;  // of a RIFF file

template <class T>
void Put(T value, size_t at, std::array<char, kHeaderBytes> *header) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    (*header)[at + i] = static_cast<char>(value >> (8 * i));
  }
}

std::array<char, kHeaderBytes> Header(int sample_rate, uint32_t bytes) {
  std::array<char, kHeaderBytes> header{};
  std::memcpy(header.data(), "RIFF    WAVEfmt ", 16);
  Put<uint32_t>(static_cast<uint32_t>(bytes + kHeaderBytes - 8), 4, &header);
  Put<uint32_t>(16, 16, &header);                                     // size of the format
  Put<uint16_t>(1, 20, &header);                                      // PCM
  Put<uint16_t>(1, 22, &header);                                      // channels
  Put<uint32_t>(static_cast<uint32_t>(sample_rate), 24, &header);
  Put<uint32_t>(static_cast<uint32_t>(sample_rate) * 2, 28, &header);  // bytes per second
  Put<uint16_t>(2, 32, &header);                                      // bytes per frame
  Put<uint16_t>(16, 34, &header);                                     // bits
  std::memcpy(header.data() + 36, "data", 4);
  Put<uint32_t>(bytes, 40, &header);
  return header;
}

}  // namespace

WavWriter::WavWriter(std::filesystem::path path, int sample_rate, uint64_t frames)
    : path_(std::move(path)),
      temporary_(path_.parent_path() /
                 ("." + path_.filename().string() + "." + std::to_string(getpid()) + ".tmp")) {
  if (frames * 2 + kHeaderBytes > kMostBytes) {
    throw Error(path_.string() + ": would pass the 4 GiB a wav can hold; cut the recording into parts");
  }
  std::error_code failed;
  if (path_.has_parent_path()) {
    std::filesystem::create_directories(path_.parent_path(), failed);
  }
  errno = 0;
  file_.open(temporary_, std::ios::binary);
  const auto header = Header(sample_rate, static_cast<uint32_t>(frames * 2));
  if (!file_ || !file_.write(header.data(), header.size())) {
    Fail();
  }
}

WavWriter::~WavWriter() {
  if (!committed_) {
    file_.close();
    std::error_code ignored;
    std::filesystem::remove(temporary_, ignored);
  }
}

void WavWriter::Fail() const {
  throw Error(path_.string() + ": cannot write: " + (errno ? std::strerror(errno) : "unknown reason"));
}

void WavWriter::Write(const std::vector<float> &samples) {
  constexpr double kScale = 32768;
  std::vector<char> bytes(samples.size() * 2);
  for (size_t t = 0; t < samples.size(); ++t) {
    const double value = std::clamp(std::nearbyint(double{samples[t]} * kScale), -kScale, kScale - 1);
    const auto pcm = static_cast<uint16_t>(static_cast<int16_t>(value));
    bytes[2 * t] = static_cast<char>(pcm & 0xFF);
    bytes[2 * t + 1] = static_cast<char>(pcm >> 8);
  }
  errno = 0;
  if (!file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    Fail();
  }
}

void WavWriter::Commit() {
  errno = 0;
  file_.close();
  if (!file_) {
    Fail();
  }
  std::error_code failed;
  std::filesystem::rename(temporary_, path_, failed);
  if (failed) {
    throw Error(path_.string() + ": cannot write: " + failed.message());
  }
  committed_ = true;
}

}  // namespace dprnn
