// MindSpore Lite writes dozens of internal lines, some named ERROR in runs that succeed.
#ifndef DPRNN_QUIET_H_
#define DPRNN_QUIET_H_

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace dprnn {

// Starts the program again with Lite's messages off: Lite reads GLOG_v when it is loaded, before main. Who asks for more
// than errors (GLOG_v of 0, 1 or 2) gets them; 3 is what the Python side sets for quiet.
inline void QuietLibrary(char **argv) {
  const char *wanted = std::getenv("GLOG_v");
  if ((wanted == nullptr || std::string(wanted) == "3") && setenv("GLOG_v", "4", 1) == 0) {
    execv("/proc/self/exe", argv);  // returns only where /proc is missing: then the messages stay
  }
}

}  // namespace dprnn

#endif  // DPRNN_QUIET_H_
