#include "separator.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "error.h"
#include "files.h"
#include "joiner.h"
#include "level.h"
#include "stopwatch.h"
#include "wav.h"
#include "windows.h"

namespace dprnn {
namespace {

namespace fs = std::filesystem;

// Overlapping windows of a file that is read once.
class WindowReader {
 public:
  explicit WindowReader(WavReader *reader) : reader_(reader) {}

  // `size` samples from `start`, fewer at the end; starts never decrease.
  std::vector<float> Window(uint64_t start, size_t size) {
    const auto passed = static_cast<std::ptrdiff_t>(start - begin_);
    samples_.erase(samples_.begin(), samples_.begin() + passed);
    begin_ = start;
    const std::vector<float> more = reader_->Read(size - samples_.size());
    samples_.insert(samples_.end(), more.begin(), more.end());
    return samples_;
  }

 private:
  WavReader *reader_;
  uint64_t begin_ = 0;
  std::vector<float> samples_;
};

// One wav per speaker, all or none.
class Outputs {
 public:
  Outputs(const std::vector<fs::path> &paths, int sample_rate, uint64_t frames) {
    for (const fs::path &path : paths) {
      writers_.emplace_back(path, sample_rate, frames);
    }
  }

  void Write(const Tracks &tracks) {
    for (size_t c = 0; c < writers_.size(); ++c) {
      writers_[c].Write(tracks[c]);
    }
  }

  void Commit() {
    for (WavWriter &writer : writers_) {
      writer.Commit();
    }
  }

 private:
  std::deque<WavWriter> writers_;
};

// The tracks of one row of [batch, C, length], as long as its mixture.
Tracks Row(const std::vector<float> &estimates, size_t row, size_t speakers, size_t length, size_t wanted) {
  Tracks tracks(speakers);
  for (size_t c = 0; c < speakers; ++c) {
    const auto start = estimates.begin() + static_cast<std::ptrdiff_t>((row * speakers + c) * length);
    tracks[c].assign(start, start + static_cast<std::ptrdiff_t>(wanted));
    if (!std::all_of(tracks[c].begin(), tracks[c].end(), [](float x) { return std::isfinite(x); })) {
      throw Error("the model gives NaN or infinite samples for this input");
    }
  }
  return tracks;
}

void CheckFree(const std::vector<fs::path> &paths, bool overwrite) {
  for (const fs::path &path : paths) {
    if (!overwrite && fs::exists(path)) {
      throw Error(path.string() + ": exists; --overwrite 1 replaces it");
    }
  }
}

}  // namespace

Separator::Separator(const Options &options, const Meta &meta, std::unique_ptr<Network> network,
                     const std::atomic<bool> &stop)
    : options_(options), meta_(meta), network_(std::move(network)), stop_(stop) {}

double Separator::Process(const fs::path &source, const std::function<void(size_t, size_t)> &progress) {
  const size_t speakers = static_cast<size_t>(meta_.speakers);
  const std::vector<fs::path> paths = OutputPaths(source, options_.output, speakers);
  CheckFree(paths, options_.overwrite);
  WavReader wav(source.string(), options_.channel);
  if (wav.sample_rate() != meta_.sample_rate) {
    throw Error(source.string() + ": sample rate is " + std::to_string(wav.sample_rate()) + " Hz, the model's is " +
                std::to_string(meta_.sample_rate) + " Hz; resample it first");
  }
  const bool fixed = meta_.length.has_value();
  const auto samples = [&](double seconds) { return static_cast<uint64_t>(std::lround(seconds * meta_.sample_rate)); };
  const uint64_t window = fixed ? static_cast<uint64_t>(*meta_.length) : samples(options_.window);
  const uint64_t overlap = fixed ? window / 2 : samples(options_.overlap);
  const std::vector<uint64_t> starts = PlanWindows(wav.frames(), window, overlap);
  const size_t own = static_cast<size_t>(std::min(window, wav.frames()));
  // The network gives nothing for a last piece shorter than its stride, so its input is padded to whole frames.
  const size_t length = fixed ? static_cast<size_t>(window) : own + static_cast<size_t>(meta_.hop);
  const size_t rows = static_cast<size_t>(meta_.batch.value_or(1));

  Outputs outputs(paths, meta_.sample_rate, wav.frames());
  WindowReader windows(&wav);
  Joiner joiner(speakers);
  for (size_t first = 0; first < starts.size(); first += rows) {
    if (stop_) {
      throw Interrupted();
    }
    const size_t count = std::min(rows, starts.size() - first);
    Tracks mixtures;
    std::vector<float> input(rows * length);
    for (size_t row = 0; row < count; ++row) {
      mixtures.push_back(windows.Window(starts[first + row], own));
      std::copy(mixtures[row].begin(), mixtures[row].end(),
                input.begin() + static_cast<std::ptrdiff_t>(row * length));
    }
    const Stopwatch stopwatch;
    const std::vector<float> estimates = network_->Run(input, rows, length);
    const double seconds = stopwatch.Seconds();
    latency_.first = latency_.runs == 0 ? seconds : latency_.first;
    latency_.total += seconds;
    ++latency_.runs;
    for (size_t row = 0; row < count; ++row) {
      Tracks tracks = Row(estimates, row, speakers, length, own);
      ScaleToMixture(mixtures[row].data(), own, &tracks);
      outputs.Write(joiner.Add(starts[first + row], std::move(tracks)));
    }
    progress(first + count, starts.size());
  }
  outputs.Write(joiner.Finish());
  outputs.Commit();
  return static_cast<double>(wav.frames()) / meta_.sample_rate;
}

}  // namespace dprnn
