// The level of the estimates, which SI-SNR leaves open.
#ifndef DPRNN_LEVEL_H_
#define DPRNN_LEVEL_H_

#include <cstddef>
#include <vector>

namespace dprnn {

using Tracks = std::vector<std::vector<float>>;  // [C][T]

// Gives all tracks the mixture's polarity and one gain: the least-squares fit of their sum to the mixture, lowered where
// a sample would pass 16-bit full scale. The same arithmetic as upright and scale_to_mixture of src/separation/level.py.
void ScaleToMixture(const float *mixture, size_t length, Tracks *tracks);

}  // namespace dprnn

#endif  // DPRNN_LEVEL_H_
