// Runs networks on noise of given lengths, all in one process: what valgrind watches.
//   dprnn_lengths MODEL LENGTHS [MODEL LENGTHS]...      LENGTHS: samples, as 400,2000,20

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "error.h"
#include "lite_network.h"
#include "meta.h"
#include "options.h"

namespace {

void Run(const std::string &model, std::istringstream lengths) {
  dprnn::Options options;
  options.model = model;
  options.threads = 1;
  dprnn::LiteNetwork network(options, dprnn::ReadMeta(model));
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.1F);
  for (std::string length; std::getline(lengths, length, ',');) {
    std::vector<float> mixture(std::stoul(length));
    for (float &sample : mixture) {
      sample = normal(random);
    }
    for (const float sample : network.Run(mixture, 1, mixture.size())) {
      if (!std::isfinite(sample)) {
        throw dprnn::Error(model + ": NaN or infinite samples at length " + length);
      }
    }
    std::printf("%s %s\n", model.c_str(), length.c_str());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char **argv) {
  try {
    for (int i = 1; i + 1 < argc; i += 2) {
      Run(argv[i], std::istringstream(argv[i + 1]));
    }
    return EXIT_SUCCESS;
  } catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
