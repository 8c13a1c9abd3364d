#include "joiner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace dprnn {

std::vector<size_t> MatchSpeakers(const Tracks &left, size_t offset, const Tracks &right, size_t length) {
  const size_t speakers = left.size();
  std::vector<double> product(speakers * speakers);
  for (size_t a = 0; a < speakers; ++a) {
    for (size_t b = 0; b < speakers; ++b) {
      product[a * speakers + b] =
          std::inner_product(right[b].begin(), right[b].begin() + static_cast<std::ptrdiff_t>(length),
                             left[a].begin() + static_cast<std::ptrdiff_t>(offset), 0.0);
    }
  }
  std::vector<size_t> order(speakers);
  std::iota(order.begin(), order.end(), 0);
  std::vector<size_t> best = order;
  double most = -INFINITY;
  do {
    double sum = 0;
    for (size_t a = 0; a < speakers; ++a) {
      sum += product[a * speakers + order[a]];
    }
    if (sum > most) {
      most = sum;
      best = order;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

Tracks Joiner::Add(uint64_t start, Tracks window) {
  Tracks settled(pending_.size());
  if (pending_[0].empty()) {
    begin_ = start;
    pending_ = std::move(window);
    return settled;
  }
  const size_t before = static_cast<size_t>(start - begin_);
  const size_t overlap = pending_[0].size() - before;
  const std::vector<size_t> order = MatchSpeakers(pending_, before, window, overlap);
  for (size_t c = 0; c < pending_.size(); ++c) {
    std::vector<float> &left = pending_[c];
    std::vector<float> &right = window[order[c]];
    // Both sides hold the same voice, so their weights sum to one in amplitude: half a period of a raised cosine.
    for (size_t t = 0; t < overlap; ++t) {
      const double phase = M_PI * (static_cast<double>(t) + 0.5) / static_cast<double>(overlap);
      const float weight = static_cast<float>(0.5 - 0.5 * std::cos(phase));
      right[t] = weight * right[t] + (1 - weight) * left[before + t];
    }
    left.resize(before);
    settled[c] = std::move(left);
  }
  Tracks next(pending_.size());
  for (size_t c = 0; c < next.size(); ++c) {
    next[c] = std::move(window[order[c]]);
  }
  pending_ = std::move(next);
  begin_ = start;
  return settled;
}

Tracks Joiner::Finish() { return std::exchange(pending_, Tracks(pending_.size())); }

}  // namespace dprnn
