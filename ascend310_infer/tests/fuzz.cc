// Feeds the wav reader and the sidecar reader with damaged files; build it with sanitizers (SANITIZE=1).
//   dprnn_fuzz SECONDS [SEED]
// With clang's libFuzzer compile this file with -DLIBFUZZER -fsanitize=fuzzer instead.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <random>
#include <sstream>

#include "error.h"
#include "meta.h"
#include "wav.h"
#include "wav_bytes.h"

namespace {

using namespace dprnn_tests;

// How an input ended: "read", or the error without names and numbers.
std::string Try(const std::string &bytes) {
  std::string outcome = "read";
  const auto only_letters = [](std::string text) {
    for (char &c : text) {
      c = (c >= '0' && c <= '9') ? '#' : c;
    }
    return text.substr(0, 60);
  };
  for (const int channel : {dprnn::kMeanOfChannels, 0, 1}) {
    try {
      dprnn::WavReader reader(std::make_unique<std::istringstream>(bytes), "x", channel);
      size_t frames = 0;
      for (size_t got = 1; got > 0; frames += got) {
        got = reader.Read(777).size();
      }
      if (frames != reader.frames()) {
        std::fprintf(stderr, "read %zu frames of %zu\n", frames, static_cast<size_t>(reader.frames()));
        std::abort();
      }
    } catch (const dprnn::Error &error) {
      outcome = only_letters(error.what());
    }
  }
  try {
    dprnn::ParseMeta(bytes);
    outcome = "sidecar read";
  } catch (const dprnn::Error &error) {
    if (!bytes.empty() && bytes[0] == '{') {
      outcome = "sidecar refused";
    }
  }
  return outcome;
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {
    for (const int bits : {16, 24, 32, 64}) {
      for (const int channels : {1, 2, 7}) {
        for (const int encoding : {1, 3}) {
          const std::string samples(static_cast<size_t>(bits / 8 * channels * 50), '\x2A');
          seeds_.push_back(Riff(Chunk("fmt ", Format(encoding, channels, 8000, bits)) + Chunk("data", samples)));
          seeds_.push_back(Riff(Chunk("LIST", "abc") + Chunk("fmt ", Extensible(encoding, channels, 16000, bits)) +
                                Chunk("fact", Le(50, 4)) + Chunk("data", samples) + Chunk("LIST", "tail")));
        }
      }
    }
    seeds_.push_back(R"({"format": "MINDIR_LITE", "sample_rate": 8000, "num_spks": 2, "input": [null, 32000],
                         "config": {"kernel_size": 16}, "x": "\u00e4\n", "y": [true, false, -1.5e3]})");
  }

  std::string Next() {
    std::string bytes = seeds_[Below(seeds_.size())];
    for (size_t edits = 1 + Below(6); edits > 0 && !bytes.empty(); --edits) {
      Edit(&bytes);
    }
    return bytes;
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }

  void Edit(std::string *bytes) {
    static constexpr uint64_t kNumbers[] = {0, 1, 2, 3, 7, 8, 15, 16, 17, 40, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE,
                                            0xFFFF, 0x7FFEFFFF, 0x7FFF0000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    const size_t at = Below(bytes->size());
    const size_t head = Below(std::min<size_t>(bytes->size(), 80));  // where the header is
    switch (Below(7)) {
      case 0:
        (*bytes)[at] = static_cast<char>(random_());
        break;
      case 1:
        (*bytes)[head] = static_cast<char>((*bytes)[head] ^ 1 << Below(8));
        break;
      case 2: {
        const std::string number = Le(kNumbers[Below(std::size(kNumbers))], Below(2) ? 4 : 2);
        bytes->replace(head, number.size(), number);
        break;
      }
      case 3:
        bytes->resize(at);
        break;
      case 4:
        bytes->erase(head, 1 + Below(9));
        break;
      case 5:
        bytes->insert(head, bytes->substr(Below(bytes->size()), 1 + Below(40)));
        break;
      default: {
        const std::string &other = seeds_[Below(seeds_.size())];
        bytes->replace(at, std::string::npos, other.substr(Below(other.size())));
      }
    }
  }

  std::mt19937 random_;
  std::vector<std::string> seeds_;
};

}  // namespace

#ifdef LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Try({reinterpret_cast<const char *>(data), size});
  return 0;
}
#else
int main(int argc, char **argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 60;
  Mutator mutator(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1);
  std::map<std::string, size_t> outcomes;
  size_t runs = 0;
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    ++outcomes[Try(mutator.Next())];
    ++runs;
  }
  for (const auto &[outcome, count] : outcomes) {
    std::printf("%8zu  %s\n", count, outcome.c_str());
  }
  std::printf("%zu damaged files, no fault\n", runs);
  return EXIT_SUCCESS;
}
#endif
