// Where the windows lie that a long recording is run in.
#ifndef DPRNN_WINDOWS_H_
#define DPRNN_WINDOWS_H_

#include <cstdint>
#include <vector>

namespace dprnn {

// Starts of the windows that cover `frames` samples, each `window` long and starting `window - overlap` after the one
// before; the last is moved back to end with the recording, so that none needs padding. One window if all fits into it.
std::vector<uint64_t> PlanWindows(uint64_t frames, uint64_t window, uint64_t overlap);

}  // namespace dprnn

#endif  // DPRNN_WINDOWS_H_
