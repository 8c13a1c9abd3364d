// Tests of everything but MindSpore Lite:
//   dprnn_infer_tests                      run all
//   dprnn_infer_tests sha256 FILE          print the checksum
//   dprnn_infer_tests decode WAV CHANNEL   write the samples to stdout, float32
//   dprnn_infer_tests meta FILE            print what a sidecar says

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "check.h"
#include "error.h"
#include "meta.h"
#include "sha256.h"
#include "wav.h"

namespace dprnn_tests {

namespace fs = std::filesystem;

namespace {

int failures = 0;

}  // namespace

void Check(bool good, const char *file, int line, const char *condition) {
  if (!good) {
    std::printf("%s:%d: failed: %s\n", file, line, condition);
    ++failures;
  }
}

std::string Thrown(const std::function<void()> &call) {
  try {
    call();
  } catch (const dprnn::Error &error) {
    return error.what();
  }
  return "";
}

bool Has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

Folder::Folder() {
  std::string name = (fs::temp_directory_path() / "dprnn_tests.XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw dprnn::Error("no temporary folder");
  }
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

size_t Folder::Entries() const {
  return static_cast<size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
}

}  // namespace dprnn_tests

namespace {

using dprnn::Error;
using dprnn::FileSha256;
using dprnn::Meta;
using dprnn::ParseMeta;
using dprnn::WavReader;

int RunAll() {
  const std::pair<const char *, void (*)()> tests[] = {{"formats", dprnn_tests::TestFormats},
                                                       {"wav", dprnn_tests::TestWav},
                                                       {"separation", dprnn_tests::TestSeparation}};
  for (const auto &[name, test] : tests) {
    const int before = dprnn_tests::failures;
    test();
    std::printf("%s: %s\n", name, dprnn_tests::failures == before ? "passed" : "FAILED");
  }
  return dprnn_tests::failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Run(const std::vector<std::string> &words) {
  if (words.empty()) {
    return RunAll();
  }
  if (words[0] == "sha256" && words.size() == 2) {
    std::puts(FileSha256(words[1]).c_str());
  } else if (words[0] == "decode" && words.size() == 3) {
    WavReader reader(words[1], std::atoi(words[2].c_str()));
    const std::vector<float> samples = reader.Read(reader.frames());
    std::fwrite(samples.data(), sizeof(float), samples.size(), stdout);
  } else if (words[0] == "meta" && words.size() == 2) {
    std::ifstream file(words[1], std::ios::binary);
    const Meta meta = ParseMeta({std::istreambuf_iterator<char>(file), {}});
    std::printf("%s %d %d %d %ld %ld\n", meta.format.c_str(), meta.sample_rate, meta.speakers, meta.hop,
                meta.batch.value_or(0), meta.length.value_or(0));
  } else {
    throw Error("expected nothing, or: sha256 FILE, decode WAV CHANNEL, meta FILE");
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char **argv) {
  try {
    return Run({argv + 1, argv + argc});
  } catch (const Error &error) {
    std::cerr << "error: " << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
