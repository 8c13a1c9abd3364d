// What the tests share.
#ifndef DPRNN_TESTS_CHECK_H_
#define DPRNN_TESTS_CHECK_H_

#include <filesystem>
#include <functional>
#include <string>

namespace dprnn_tests {

// Counts and names a condition that does not hold.
#define CHECK(condition) dprnn_tests::Check((condition), __FILE__, __LINE__, #condition)

void Check(bool good, const char *file, int line, const char *condition);

// The text of the Error that a call throws; empty if it throws none.
std::string Thrown(const std::function<void()> &call);

bool Has(const std::string &text, const std::string &part);

// A temporary folder that goes away with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  const std::filesystem::path &path() const { return path_; }
  size_t Entries() const;

 private:
  std::filesystem::path path_;
};

// Each runs the tests of one file.
void TestFormats();
void TestWav();
void TestSeparation();

}  // namespace dprnn_tests

#endif  // DPRNN_TESTS_CHECK_H_
