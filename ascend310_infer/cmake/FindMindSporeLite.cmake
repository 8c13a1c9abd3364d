# MindSpore Lite in LITE_ROOT, in either of the two layouts it is published in:
#   the vendor's tarball   runtime/include  runtime/lib  runtime/third_party  tools/converter
#   the PyPI wheel         include          lib
# Defines the target MindSporeLite::MindSporeLite and, where the converter's library is there,
# MindSporeLite::Converter. Both carry the C++ ABI the libraries were built with.

if(EXISTS "${LITE_ROOT}/runtime/include/api/model.h")
  set(lite_include "${LITE_ROOT}/runtime")
  set(lite_libraries "${LITE_ROOT}/runtime/lib")
elseif(EXISTS "${LITE_ROOT}/include/api/model.h")
  set(lite_include "${LITE_ROOT}")
  set(lite_libraries "${LITE_ROOT}/lib")
else()
  message(FATAL_ERROR "${LITE_ROOT}: no MindSpore Lite: neither runtime/include/api/model.h nor include/api/model.h")
endif()

find_library(LITE_RUNTIME NAMES mindspore-lite mindspore-extendrt mindspore-extendrt_python
             PATHS "${lite_libraries}" NO_DEFAULT_PATH)
if(NOT LITE_RUNTIME)
  message(FATAL_ERROR "${lite_libraries}: no libmindspore-lite.so")
endif()
find_library(LITE_CONVERTER NAMES mindspore_converter PATHS "${lite_libraries}" NO_DEFAULT_PATH)
find_library(LITE_CORE NAMES mindspore_core PATHS "${lite_libraries}" NO_DEFAULT_PATH)

# Names of functions that take a std::string tell the ABI: "cxx11" for the one GCC has had since 5.1, "Ss" for the
# older one. A library with neither is called through std::vector<char> alone and takes either.
function(lite_abi library out)
  execute_process(COMMAND "${CMAKE_NM}" -D --defined-only "${library}" OUTPUT_VARIABLE symbols ERROR_QUIET)
  string(REGEX MATCH "N9mindspore[A-Za-z0-9_]*NSt7__cxx1112basic_string" new "${symbols}")
  string(REGEX MATCH "N9mindspore[A-Za-z0-9_]*RKSs" old "${symbols}")
  if(new)
    set(${out} 1 PARENT_SCOPE)
  elseif(old)
    set(${out} 0 PARENT_SCOPE)
  else()
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

lite_abi("${LITE_RUNTIME}" LITE_ABI)
message(STATUS "MindSpore Lite: ${LITE_RUNTIME}, _GLIBCXX_USE_CXX11_ABI='${LITE_ABI}'")

# The libraries find each other by a run path that is handed on (DT_RPATH): they carry none of their own.
file(GLOB lite_third_party LIST_DIRECTORIES true "${lite_include}/third_party/*" "${lite_include}/third_party/*/lib")
set(lite_run_path "${lite_libraries}" ${lite_third_party})
list(JOIN lite_run_path ":" lite_run_path)

function(lite_target name)
  add_library(MindSporeLite::${name} INTERFACE IMPORTED)
  target_include_directories(MindSporeLite::${name} SYSTEM INTERFACE "${lite_include}" "${lite_include}/include")
  target_link_libraries(MindSporeLite::${name} INTERFACE ${ARGN})
  target_link_options(MindSporeLite::${name} INTERFACE
                      -Wl,--allow-shlib-undefined -Wl,--disable-new-dtags "-Wl,-rpath,${lite_run_path}")
  if(NOT LITE_ABI STREQUAL "")
    target_compile_definitions(MindSporeLite::${name} INTERFACE "_GLIBCXX_USE_CXX11_ABI=${LITE_ABI}")
  endif()
endfunction()

lite_target(MindSporeLite "${LITE_RUNTIME}")
if(LITE_CONVERTER AND LITE_CORE)
  lite_target(Converter "${LITE_CONVERTER}" "${LITE_CORE}")
endif()

# The wheel's MINDIR reader is that of 2.0.0, and its Version() is empty: its version.py says what it is.
set(LITE_VERSION "")
if(EXISTS "${LITE_ROOT}/version.py")
  file(STRINGS "${LITE_ROOT}/version.py" line REGEX "[0-9]+[.][0-9]+[.][0-9]+" LIMIT_COUNT 1)
  string(REGEX MATCH "[0-9]+[.][0-9]+[.][0-9]+" LITE_VERSION "${line}")
endif()
