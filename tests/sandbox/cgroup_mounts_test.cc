// SPDX-License-Identifier: Apache-2.0
#include "sandbox/cgroup_mounts.h"

#include <boost/test/unit_test.hpp>

namespace bulkhead {
namespace {

std::string NoFile(const std::string&) { return ""; }

BOOST_AUTO_TEST_SUITE(CgroupMountsFound)

BOOST_AUTO_TEST_CASE(Version1ByControllerBesideAVersion2Tree) {
  const CgroupPlaces places = FindCgroups(
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
      "4:memory:/job/one\n1:cpu,cpuacct:/\n0::/\n", [](const std::string& path) {
        BOOST_TEST(path == "/sys/fs/cgroup/unified/cgroup.controllers");
        return std::string("hugetlb pids\n");
      });
  const CgroupPlace memory{1, "/sys/fs/cgroup/memory/job/one"};
  const CgroupPlace pids{2, "/sys/fs/cgroup/unified"};
  const CgroupPlace cpu{1, "/sys/fs/cgroup/cpu,cpuacct"};
  BOOST_TEST((places.At(Controller::kMemory) == memory));
  BOOST_TEST((places.At(Controller::kPids) == pids));
  BOOST_TEST((places.At(Controller::kCpu) == cpu));
}

BOOST_AUTO_TEST_CASE(Version2Alone) {
  const CgroupPlaces places =
      FindCgroups("30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
                  "0::/system.slice/bulkhead.service\n",
                  [](const std::string&) { return std::string("cpuset cpu io memory pids\n"); });
  for (const Controller controller : kControllers) {
    BOOST_TEST(places.At(controller).version == 2);
    BOOST_TEST(places.At(controller).directory == "/sys/fs/cgroup/system.slice/bulkhead.service");
  }
}

BOOST_AUTO_TEST_CASE(AMountThatShowsOnlyTheContainersPart) {
  const CgroupPlaces places = FindCgroups(
      "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
      "36 31 0:33 /docker/ab /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
      "37 31 0:34 / /a\\040b rw - cgroup cgroup rw,cpu\n",
      "4:memory:/docker/abc\n5:pids:/docker/abc\n1:cpu:/docker/abc\n", NoFile);
  BOOST_TEST(places.At(Controller::kMemory).directory == "/sys/fs/cgroup/memory");
  BOOST_TEST(places.At(Controller::kPids).version == 0);  // /docker/ab is not its parent
  BOOST_TEST(places.At(Controller::kCpu).directory == "/a b/docker/abc");
}

BOOST_AUTO_TEST_CASE(ACgroupOutsideTheNamespaceIsNotFound) {
  const CgroupPlaces places =
      FindCgroups("35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
                  "4:memory:/../other\n", NoFile);
  BOOST_TEST(places.At(Controller::kMemory).version == 0);
}

BOOST_AUTO_TEST_CASE(RubbishFindsNothing) {
  for (const char* text : {"", "x", " - ", "1 2 3 4 5 - cgroup", ":::", "\n\n - cgroup2 a b\n"}) {
    BOOST_TEST((FindCgroups(text, text, NoFile) == CgroupPlaces()));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace bulkhead
