// A separation network on whatever runs it.
#ifndef DPRNN_NETWORK_H_
#define DPRNN_NETWORK_H_

#include <cstddef>
#include <vector>

namespace dprnn {

class Network {
 public:
  virtual ~Network() = default;
  // Mixtures [batch, length] to estimates [batch, C, length]. Throws Error.
  virtual std::vector<float> Run(const std::vector<float> &mixtures, size_t batch, size_t length) = 0;
};

}  // namespace dprnn

#endif  // DPRNN_NETWORK_H_
