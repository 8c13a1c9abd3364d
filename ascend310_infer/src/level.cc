#include "level.h"

#include <algorithm>
#include <cmath>

namespace dprnn {
namespace {

// Turns a track over that goes against the mixture. A model may have learnt another polarity for each track: those
// could neither be added up nor joined where the next window has the speakers in another order.
void TurnUpright(const float *mixture, size_t length, std::vector<float> *track) {
  double product = 0;
  for (size_t t = 0; t < length; ++t) {
    product += static_cast<double>((*track)[t]) * mixture[t];
  }
  if (product < 0) {
    for (float &sample : *track) {
      sample = -sample;
    }
  }
}

}  // namespace

void ScaleToMixture(const float *mixture, size_t length, Tracks *tracks) {
  for (auto &track : *tracks) {
    TurnUpright(mixture, length, &track);
  }
  constexpr double kFullScale = 32767.0 / 32768.0;
  double energy = 0;
  double fit = 0;
  float peak = 0;
  for (size_t t = 0; t < length; ++t) {
    double total = 0;
    for (const auto &track : *tracks) {
      total += track[t];
      peak = std::max(peak, std::abs(track[t]));
    }
    energy += total * total;
    fit += total * mixture[t];
  }
  double gain = energy > 0 ? fit / energy : 1.0;
  if (peak * std::abs(gain) > kFullScale) {
    gain *= kFullScale / (peak * std::abs(gain));
  }
  for (auto &track : *tracks) {
    for (float &sample : track) {
      sample *= static_cast<float>(gain);
    }
  }
}

}  // namespace dprnn
