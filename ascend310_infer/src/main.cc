// Separates wavs with a model of MindSpore Lite: reads the command line, reports, and is the only one to exit.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <new>

#include "error.h"
#include "files.h"
#include "lite_network.h"
#include "quiet.h"
#include "separator.h"
#include "stopwatch.h"

#include <unistd.h>

namespace {

constexpr int kInterruptedStatus = 130;

std::atomic<bool> stop{false};

void OnSignal(int) { stop = true; }

void ShowProgress(size_t done, size_t total) {
  if (total > 1 && isatty(STDERR_FILENO)) {
    std::fprintf(stderr, "\r%zu/%zu windows%s", done, total, done == total ? "\r\033[K" : "");
  }
}

// Returns the exit status.
int Run(const dprnn::Options &options) {
  const dprnn::Inputs inputs = dprnn::FindInputs(options.input, options.output);
  const dprnn::Stopwatch loading;
  const dprnn::Meta meta = dprnn::ReadMeta(options.model);
  auto network = std::make_unique<dprnn::LiteNetwork>(options, meta);
  std::printf("model loaded in %.3f s: %d speakers, %d Hz, %d threads\n", loading.Seconds(), meta.speakers,
              meta.sample_rate, options.threads);
  std::fflush(stdout);
  dprnn::Separator separator(options, meta, std::move(network), stop);

  size_t failed = 0;
  double audio = 0;
  const dprnn::Stopwatch working;
  for (const auto &wav : inputs.wavs) {
    try {
      const dprnn::Stopwatch one;
      const double seconds = separator.Process(wav, ShowProgress);
      audio += seconds;
      std::printf("%s: %.2f s separated in %.3f s\n", wav.c_str(), seconds, one.Seconds());
    } catch (const dprnn::Error &error) {
      std::fflush(stdout);
      std::cerr << "error: " << error.what() << std::endl;
      ++failed;
    }
    std::fflush(stdout);
  }
  const double elapsed = working.Seconds();
  const dprnn::Latency &latency = separator.latency();
  if (latency.runs > 0 && audio > 0) {
    std::printf("latency: first %.3f s, mean %.3f s of %zu runs; real-time factor %.3f (%.1f s of audio in %.1f s)\n",
                latency.first, latency.total / static_cast<double>(latency.runs), latency.runs, elapsed / audio, audio,
                elapsed);
  }
  if (inputs.others > 0) {
    std::printf("%zu other files in %s are no wavs\n", inputs.others, options.input.c_str());
  }
  std::fflush(stdout);
  if (failed > 0 && inputs.wavs.size() > 1) {
    std::cerr << "error: " << failed << " of " << inputs.wavs.size() << " files could not be separated, see above"
              << std::endl;
  }
  return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char **argv) {
  dprnn::QuietLibrary(argv);
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  try {
    const dprnn::Options options = dprnn::ParseOptions({argv + 1, argv + argc});
    if (options.help) {
      std::cout << dprnn::kUsage;
      return EXIT_SUCCESS;
    }
    return Run(options);
  } catch (const dprnn::Interrupted &) {
    std::cerr << "interrupted" << std::endl;
    return kInterruptedStatus;
  } catch (const std::bad_alloc &) {
    std::cerr << "error: out of memory; a shorter --window needs less" << std::endl;
  } catch (const std::exception &error) {
    std::cerr << "error: " << error.what() << std::endl;
  }
  return EXIT_FAILURE;
}
