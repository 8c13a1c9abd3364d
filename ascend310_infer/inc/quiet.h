// MindSpore Lite writes dozens of internal lines, some named ERROR in runs that succeed.
#ifndef DPRNN_QUIET_H_
#define DPRNN_QUIET_H_

#include <unistd.h>

#include <cstdlib>

namespace dprnn {

// Starts the program again with Lite's messages off, unless GLOG_v says which are wanted: Lite reads GLOG_v when it is
// loaded, before main.
inline void QuietLibrary(char **argv) {
  constexpr char kCriticalOnly[] = "4";
  if (std::getenv("GLOG_v") == nullptr && setenv("GLOG_v", kCriticalOnly, 0) == 0) {
    execv("/proc/self/exe", argv);  // returns only where /proc is missing: then the messages stay
  }
}

}  // namespace dprnn

#endif  // DPRNN_QUIET_H_
