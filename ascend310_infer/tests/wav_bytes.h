// Wav files put together byte by byte, right and wrong ones.
#ifndef DPRNN_TESTS_WAV_BYTES_H_
#define DPRNN_TESTS_WAV_BYTES_H_

#include <cstdint>
#include <string>

namespace dprnn_tests {

inline std::string Le(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text += static_cast<char>(value >> (8 * i) & 0xFF);
  }
  return text;
}

inline std::string Chunk(const std::string &id, const std::string &body) {
  return id + Le(body.size(), 4) + body + (body.size() % 2 ? std::string(1, '\0') : "");
}

inline std::string Format(int encoding, int channels, int rate, int bits) {
  const int align = channels * bits / 8;
  return Le(encoding, 2) + Le(channels, 2) + Le(rate, 4) + Le(static_cast<uint64_t>(rate) * align, 4) + Le(align, 2) +
         Le(bits, 2);
}

// The same as WAVE_FORMAT_EXTENSIBLE.
inline std::string Extensible(int encoding, int channels, int rate, int bits) {
  static const char tail[] = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xAA\x00\x38\x9B\x71";
  return Format(0xFFFE, channels, rate, bits) + Le(22, 2) + Le(bits, 2) + Le(0, 4) + Le(encoding, 2) +
         std::string(tail, 14);
}

inline std::string Riff(const std::string &chunks) { return "RIFF" + Le(chunks.size() + 4, 4) + "WAVE" + chunks; }

}  // namespace dprnn_tests

#endif  // DPRNN_TESTS_WAV_BYTES_H_
