// SPDX-License-Identifier: Apache-2.0
// bulkhead: checks, compiles, explains and runs the policy of an enclave.
#include "cli/cli.h"

int main(int argc, char** argv) { return bulkhead::RunCli(argc, argv); }
