// The sidecar that export.py writes beside a model: model.mindir -> model.meta.json.
#ifndef DPRNN_META_H_
#define DPRNN_META_H_

#include <optional>
#include <string>

namespace dprnn {

struct Meta {
  std::string format;           // MINDIR_LITE: made by Lite's converter; MINDIR: by MindSpore
  int sample_rate = 0;          // Hz
  int speakers = 0;             // C
  int hop = 0;                  // samples between frames of the encoder
  std::optional<long> batch;    // the one batch size of a fixed-length model
  std::optional<long> length;   // its one input length, samples; none: any
};

// Reads the sidecar and checks that the model file is the one it describes.
// Throws Error: no model, no sidecar, not ours, or another checksum.
Meta ReadMeta(const std::string &model_path);

// The facts in a sidecar's text. Throws Error.
Meta ParseMeta(const std::string &text);

}  // namespace dprnn

#endif  // DPRNN_META_H_
