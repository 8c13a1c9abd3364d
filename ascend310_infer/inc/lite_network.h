// The network on MindSpore Lite, CPU or Ascend.
#ifndef DPRNN_LITE_NETWORK_H_
#define DPRNN_LITE_NETWORK_H_

#include <memory>
#include <string>

#include "meta.h"
#include "network.h"
#include "options.h"

namespace dprnn {

class LiteNetwork : public Network {
 public:
  // Loads and prepares a model. Throws Error: a kind this Lite cannot read, or a device it does not have.
  LiteNetwork(const Options &options, const Meta &meta);
  ~LiteNetwork() override;

  std::vector<float> Run(const std::vector<float> &mixtures, size_t batch, size_t length) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dprnn

#endif  // DPRNN_LITE_NETWORK_H_
