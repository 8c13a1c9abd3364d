#include "windows.h"

namespace dprnn {

std::vector<uint64_t> PlanWindows(uint64_t frames, uint64_t window, uint64_t overlap) {
  std::vector<uint64_t> starts{0};
  while (starts.back() + window < frames) {
    const uint64_t next = starts.back() + (window - overlap);
    starts.push_back(next + window > frames ? frames - window : next);
  }
  return starts;
}

}  // namespace dprnn
