// Wav files in and out.

#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "check.h"
#include "wav.h"
#include "wav_bytes.h"

namespace dprnn_tests {
namespace {

namespace fs = std::filesystem;
using namespace dprnn;

std::vector<float> Decode(const std::string &bytes, int channel = kMeanOfChannels) {
  WavReader reader(std::make_unique<std::istringstream>(bytes), "test.wav", channel);
  std::vector<float> all;
  for (std::vector<float> part = reader.Read(3); !part.empty(); part = reader.Read(3)) {
    all.insert(all.end(), part.begin(), part.end());
  }
  CHECK(all.size() == reader.frames());
  return all;
}

void TestWavReader() {
  const std::string format = Chunk("fmt ", Format(1, 1, 8000, 16));
  const std::string pcm = Le(0, 2) + Le(16384, 2) + Le(0x8000, 2) + Le(0x7FFF, 2);
  const std::vector<float> values{0, 0.5F, -1, 32767.0F / 32768};
  CHECK(Decode(Riff(format + Chunk("data", pcm))) == values);
  // other chunks, odd ones with and after their padding
  CHECK(Decode(Riff(Chunk("LIST", "abc") + format + Chunk("fact", Le(4, 4)) + Chunk("odd ", "x") + Chunk("data", pcm) +
                    Chunk("LIST", "tail"))) == values);
  CHECK(Decode(Riff(Chunk("fmt ", Extensible(1, 1, 8000, 16)) + Chunk("data", pcm))) == values);
  CHECK((Decode(Riff(Chunk("fmt ", Format(1, 1, 8000, 24)) + Chunk("data", Le(0x400000, 3) + Le(0x800000, 3)))) ==
         std::vector<float>{0.5F, -1}));
  CHECK((Decode(Riff(Chunk("fmt ", Format(1, 1, 8000, 32)) + Chunk("data", Le(0x40000000, 4) + Le(0x80000000, 4)))) ==
         std::vector<float>{0.5F, -1}));
  CHECK((Decode(Riff(Chunk("fmt ", Format(3, 1, 8000, 32)) + Chunk("data", Le(0x3F000000, 4) + Le(0xC0000000, 4)))) ==
         std::vector<float>{0.5F, -2}));
  CHECK((Decode(Riff(Chunk("fmt ", Format(3, 1, 8000, 64)) + Chunk("data", Le(0x3FE0000000000000, 8)))) ==
         std::vector<float>{0.5F}));
  // channels: two frames of (0.5, -1) and (0, 32767/32768)
  const std::string stereo =
      Riff(Chunk("fmt ", Format(1, 2, 8000, 16)) + Chunk("data", Le(16384, 2) + Le(0x8000, 2) + Le(0, 2) + Le(0x7FFF, 2)));
  CHECK((Decode(stereo, 0) == std::vector<float>{0.5F, 0}));
  CHECK((Decode(stereo, 1) == std::vector<float>{-1, 32767.0F / 32768}));
  CHECK((Decode(stereo) == std::vector<float>{-0.25F, 32767.0F / 65536}));
  CHECK(Has(Thrown([&] { Decode(stereo, 2); }), "no channel 2"));
  // streamed to a pipe, and cut off while recording
  for (const uint32_t size : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x7FFF0000U, 0U}) {
    CHECK(Decode("RIFF" + Le(size, 4) + "WAVE" + format + "data" + Le(size, 4) + pcm) == values);
  }
  CHECK(Decode(Riff(format + Chunk("data", pcm + "x"))) == values);  // half a sample at the end

  const auto error = [](const std::string &bytes) { return Thrown([&] { Decode(bytes); }); };
  CHECK(Has(error(""), "empty (0 bytes)"));
  CHECK(Has(error("RIFF"), "not a wav"));
  CHECK(Has(error("OggS" + std::string(100, 'x')), "not a wav"));
  CHECK(Has(error("RF64" + Riff(format).substr(4)), "RF64"));
  CHECK(Has(error(Riff(format)), "no samples"));
  CHECK(Has(error(Riff(format + "dat")), "no samples"));
  CHECK(Has(error(Riff(format + Chunk("data", ""))), "holds no samples"));
  CHECK(Has(error(Riff(format + Chunk("data", "") + Chunk("LIST", "tail"))), "holds no samples"));
  CHECK(Has(error(Riff(format + Chunk("data", "x"))), "holds no samples"));
  CHECK(Has(error(Riff(format + "data" + Le(100, 4) + pcm)), "truncated"));
  CHECK(Has(error(Riff(Chunk("data", pcm) + format)), "before their format"));
  CHECK(Has(error(Riff(Chunk("fmt ", "short") + Chunk("data", pcm))), "too short"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(1, 1, 8000, 8)) + Chunk("data", pcm))), "8-bit PCM"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(7, 1, 8000, 8)) + Chunk("data", pcm))), "encoding (7)"));
  CHECK(Has(error(Riff(Chunk("fmt ", Extensible(6, 1, 8000, 8)) + Chunk("data", pcm))), "encoding (6)"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(1, 0, 8000, 16)) + Chunk("data", pcm))), "impossible"));
  CHECK(Has(error(Riff(Chunk("fmt ", Format(1, 1, 0, 16)) + Chunk("data", pcm))), "impossible"));
  CHECK(Has(error(Riff("JUNK" + Le(0xFFFFFFFF, 4) + format + Chunk("data", pcm))), "no samples"));
  for (const uint64_t bits : {0x7FC00000U, 0x7F800000U, 0xFF800000U}) {
    CHECK(Has(error(Riff(Chunk("fmt ", Format(3, 1, 8000, 32)) + Chunk("data", Le(0, 4) + Le(bits, 4)))),
              "NaN or infinite samples, the first at 1"));
  }
  CHECK(Has(Thrown([] { WavReader("/nowhere.wav", 0); }), "no such file"));
  CHECK(Has(Thrown([] { WavReader("/", 0); }), "not a file"));
}

void TestWavWriter() {
  const Folder folder;
  const fs::path path = folder.path() / "sub" / "a.wav";
  const std::vector<float> samples{0, 0.5F / 32768, 1.5F / 32768, -2.5F / 32768, 2, -2, 32767.0F / 32768};
  {
    WavWriter writer(path, 8000, samples.size());
    writer.Write(samples);
    CHECK(!fs::exists(path));
    writer.Commit();
  }
  CHECK(fs::file_size(path) == 44 + 2 * samples.size());
  WavReader reader(path.string(), 0);
  std::vector<float> back = reader.Read(100);
  for (float &sample : back) {
    sample *= 32768;
  }
  CHECK((back == std::vector<float>{0, 0, 2, -2, 32767, -32768, 32767}));  // halves to even, clipped
  CHECK(reader.sample_rate() == 8000 && reader.channels() == 1);
  {
    WavWriter dropped(folder.path() / "b.wav", 8000, 4);
    dropped.Write(samples);
  }
  CHECK(folder.Entries() == 1);
  CHECK(Has(Thrown([&] { WavWriter(path / "below_a_file.wav", 8000, 1); }), "cannot write"));
  CHECK(Has(Thrown([&] { WavWriter(folder.path() / "c.wav", 8000, 1ULL << 31); }), "4 GiB"));
}

}  // namespace

void TestWav() {
  TestWavReader();
  TestWavWriter();
}

}  // namespace dprnn_tests
