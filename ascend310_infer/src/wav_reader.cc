#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <system_error>

#include "error.h"
#include "wav.h"

namespace dprnn {
namespace {

// Encodings (mmreg.h).
constexpr uint16_t kPcm = 1;
constexpr uint16_t kFloat = 3;
constexpr uint16_t kExtensible = 0xFFFE;

constexpr uint32_t kFormatBytes = 16;
constexpr uint32_t kExtensibleBytes = 40;
constexpr int kMostChannels = 1024;

// The rest of a sub-format's GUID after its two bytes of encoding.
constexpr uint8_t kGuidTail[] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71};

// A data chunk that claims this much or more was written to a pipe, its length unknown: ffmpeg, sox.
constexpr uint32_t kStreamedBytes = 0x7FFF0000;

uint16_t Le16(const uint8_t *b) { return static_cast<uint16_t>(b[0] | b[1] << 8); }
uint32_t Le32(const uint8_t *b) { return Le16(b) | uint32_t{Le16(b + 2)} << 16; }

std::unique_ptr<std::istream> OpenFile(const std::string &path) {
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  if (!std::filesystem::exists(status)) {
    throw Error(path + ": no such file");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw Error(path + ": not a file; expected a wav");
  }
  auto file = std::make_unique<std::ifstream>(path, std::ios::binary);
  if (!*file) {
    throw Error(path + ": cannot be opened; check its permissions");
  }
  return file;
}

}  // namespace

WavReader::WavReader(const std::string &path, int channel) : WavReader(OpenFile(path), path, channel) {}

WavReader::WavReader(std::unique_ptr<std::istream> stream, std::string name, int channel)
    : stream_(std::move(stream)), name_(std::move(name)), channel_(channel) {
  ReadHeader();
}

void WavReader::Fail(const std::string &what) const { throw Error(name_ + ": " + what); }

void WavReader::ReadHeader() {
  stream_->seekg(0, std::ios::end);
  file_bytes_ = static_cast<uint64_t>(std::max<std::streamoff>(stream_->tellg(), 0));
  stream_->seekg(0);
  if (file_bytes_ == 0) {
    Fail("is empty (0 bytes)");
  }
  uint8_t riff[12] = {};
  stream_->read(reinterpret_cast<char *>(riff), sizeof(riff));
  const auto is = [](const uint8_t *id, const char *name) { return std::memcmp(id, name, 4) == 0; };
  if (is(riff, "RF64") || is(riff, "RIFX")) {
    Fail(std::string(reinterpret_cast<char *>(riff), 4) + " is not supported; convert it to a plain RIFF wav");
  }
  if (!*stream_ || !is(riff, "RIFF") || !is(riff + 8, "WAVE")) {
    Fail("not a wav file; convert it first");
  }
  uint8_t chunk[8];
  while (stream_->read(reinterpret_cast<char *>(chunk), sizeof(chunk))) {
    const uint32_t size = Le32(chunk + 4);
    const uint64_t start = static_cast<uint64_t>(stream_->tellg());
    if (is(chunk, "data")) {
      FindSamples(size, Le32(riff + 4));
      return;
    }
    if (is(chunk, "fmt ")) {
      ReadFormat(size);
    }
    const uint64_t next = start + size + size % 2;  // chunks begin at even positions
    if (next > file_bytes_) {
      break;
    }
    stream_->seekg(static_cast<std::streamoff>(next));
  }
  Fail("truncated or corrupt: no samples (data chunk) in it");
}

void WavReader::ReadFormat(uint32_t size) {
  uint8_t format[kExtensibleBytes] = {};
  stream_->read(reinterpret_cast<char *>(format), std::min(size, kExtensibleBytes));
  if (!*stream_ || size < kFormatBytes) {
    Fail("truncated or corrupt: its format chunk is too short");
  }
  uint16_t encoding = Le16(format);
  const bool extensible = encoding == kExtensible && size >= kExtensibleBytes;
  if (extensible && std::memcmp(format + 26, kGuidTail, sizeof(kGuidTail)) == 0) {
    encoding = Le16(format + 24);
  }
  const int channels = Le16(format + 2);
  const uint32_t rate = Le32(format + 4);
  const int align = Le16(format + 12);
  const int bits = Le16(format + 14);
  is_float_ = encoding == kFloat;
  if (encoding != kPcm && encoding != kFloat) {
    Fail("its encoding (" + std::to_string(encoding) + ") is neither PCM nor float; convert it to 16-bit PCM");
  }
  if (is_float_ ? bits != 32 && bits != 64 : bits != 16 && bits != 24 && bits != 32) {
    Fail(std::to_string(bits) + "-bit " + (is_float_ ? "float" : "PCM") +
         " is not supported; convert it to 16-bit PCM");
  }
  if (channels < 1 || channels > kMostChannels || rate < 1 || rate > INT32_MAX || align != channels * bits / 8) {
    Fail("corrupt: impossible numbers in its format chunk");
  }
  if (channel_ >= channels) {
    Fail("has " + std::to_string(channels) + " channel(s), there is no channel " + std::to_string(channel_) +
         "; the first is 0");
  }
  channels_ = channels;
  sample_rate_ = static_cast<int>(rate);
  bytes_ = bits / 8;
}

void WavReader::FindSamples(uint32_t data_size, uint32_t riff_size) {
  if (channels_ == 0) {
    Fail("corrupt: its samples come before their format");
  }
  const uint64_t start = static_cast<uint64_t>(stream_->tellg());
  const uint64_t rest = file_bytes_ - start;
  // A recorder that was cut off leaves sizes of zero. With a true RIFF size a zero means no samples.
  const bool unfinished = data_size == 0 && uint64_t{riff_size} + 8 != file_bytes_;
  const bool streamed = data_size >= kStreamedBytes && data_size > rest;
  if (data_size > rest && !streamed) {
    Fail("truncated: its header promises " + std::to_string(data_size) + " bytes of samples, there are " +
         std::to_string(rest));
  }
  const uint64_t bytes = unfinished || streamed ? rest : data_size;
  frames_ = bytes / static_cast<uint64_t>(channels_ * bytes_);
  if (frames_ == 0) {
    Fail("holds no samples");
  }
}

double WavReader::Sample(const uint8_t *bytes) const {
  // PCM goes to the top of 32 bits, where its sign is right.
  uint32_t word = 0;
  if (is_float_ && bytes_ == 8) {
    const uint64_t bits = Le32(bytes) | uint64_t{Le32(bytes + 4)} << 32;
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  for (int i = 0; i < bytes_; ++i) {
    word |= uint32_t{bytes[i]} << (8 * (4 - bytes_ + i));
  }
  if (is_float_) {
    float value;
    std::memcpy(&value, &word, sizeof(value));
    return value;
  }
  return static_cast<int32_t>(word) / 2147483648.0;
}

std::vector<float> WavReader::Read(size_t wanted) {
  const size_t count = static_cast<size_t>(std::min<uint64_t>(wanted, frames_ - done_));
  const size_t stride = static_cast<size_t>(channels_ * bytes_);
  std::vector<uint8_t> raw(count * stride);
  stream_->read(reinterpret_cast<char *>(raw.data()), static_cast<std::streamsize>(raw.size()));
  if (static_cast<size_t>(stream_->gcount()) != raw.size()) {
    Fail("truncated while it was being read");
  }
  std::vector<float> samples(count);
  for (size_t t = 0; t < count; ++t) {
    const uint8_t *frame = raw.data() + t * stride;
    double value = 0;
    if (channel_ == kMeanOfChannels) {
      for (int c = 0; c < channels_; ++c) {
        value += Sample(frame + c * bytes_);
      }
      value /= channels_;
    } else {
      value = Sample(frame + channel_ * bytes_);
    }
    if (!(std::abs(value) <= std::numeric_limits<float>::max())) {
      Fail("holds NaN or infinite samples, the first at " + std::to_string(done_ + t));
    }
    samples[t] = static_cast<float>(value);
  }
  done_ += count;
  return samples;
}

}  // namespace dprnn
