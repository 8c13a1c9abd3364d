// One track per speaker out of overlapping windows whose speakers come in any order.
#ifndef DPRNN_JOINER_H_
#define DPRNN_JOINER_H_

#include <cstdint>
#include <vector>

#include "level.h"

namespace dprnn {

class Joiner {
 public:
  explicit Joiner(size_t speakers) : pending_(speakers) {}

  // Takes the tracks of a window that starts at sample `start` and gives what is settled: everything before `start`.
  // Windows come in order, each starting inside the one before.
  Tracks Add(uint64_t start, Tracks window);
  // What is left after the last window.
  Tracks Finish();

 private:
  uint64_t begin_ = 0;  // of what is pending, in samples
  Tracks pending_;
};

// For each track of `left` the one of `right` that continues it: of all orders the one with the largest sum of inner
// products over the first `length` samples from `offset` of `left`, which is the one with the smallest squared
// difference. Weak speakers, whose correlation is mostly noise, so have little say. The given order wins ties.
std::vector<size_t> MatchSpeakers(const Tracks &left, size_t offset, const Tracks &right, size_t length);

}  // namespace dprnn

#endif  // DPRNN_JOINER_H_
