// SHA-256 (FIPS 180-4), which ties a model file to its sidecar.
#ifndef DPRNN_SHA256_H_
#define DPRNN_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace dprnn {

class Sha256 {
 public:
  void Update(const void *data, size_t size);
  // The digest as 64 hexadecimal digits; nothing may be added afterwards.
  std::string Finish();

 private:
  void Block(const uint8_t *block);

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};
  uint64_t bytes_ = 0;
};

// Throws Error if the file cannot be read.
std::string FileSha256(const std::string &path);

}  // namespace dprnn

#endif  // DPRNN_SHA256_H_
