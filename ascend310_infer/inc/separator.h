// A recording of any length to one wav per speaker.
#ifndef DPRNN_SEPARATOR_H_
#define DPRNN_SEPARATOR_H_

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>

#include "meta.h"
#include "network.h"
#include "options.h"

namespace dprnn {

// How long the network took, in seconds; changing to another input length is part of it.
struct Latency {
  double first = 0;
  double total = 0;
  size_t runs = 0;
};

class Separator {
 public:
  // `stop` may be set at any time; Process then throws Interrupted and leaves no file.
  Separator(const Options &options, const Meta &meta, std::unique_ptr<Network> network,
            const std::atomic<bool> &stop);

  // Separates one wav block by block. A recording that fits into a window is run whole and gives what separate.py
  // gives. A longer one is run in overlapping windows: each is scaled to its part of the mixture, which settles the
  // level and polarity SI-SNR leaves open without having to know the whole recording, then its speakers are put in the
  // order of the window before, and the two are cross-faded.
  // Returns the recording's length in seconds. Throws Error: an input that cannot be used, or outputs that exist.
  double Process(const std::filesystem::path &source, const std::function<void(size_t, size_t)> &progress);

  const Latency &latency() const { return latency_; }

 private:
  Options options_;
  Meta meta_;
  std::unique_ptr<Network> network_;
  const std::atomic<bool> &stop_;
  Latency latency_;
};

}  // namespace dprnn

#endif  // DPRNN_SEPARATOR_H_
