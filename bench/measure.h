// SPDX-License-Identifier: Apache-2.0
// Times of work and of whole processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace bulkhead::bench {

double Seconds(const std::function<void()>& work);

// Of several rounds: others use the machine too, so the least is nearest to the work itself.
struct Samples {
  std::vector<double> values;

  void Add(double value) { values.push_back(value); }
  double Least() const;
  double Median() const;
};

// Runs the program, its output thrown away, to its end; its peak memory in KiB. Ends the benchmark
// where it can't be run, or exits with more than `most`.
long RunProcess(const std::vector<std::string>& words, int most = 0);

}  // namespace bulkhead::bench
