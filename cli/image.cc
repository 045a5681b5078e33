// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/files.h"
#include "cli/image_archive.h"
#include "cli/image_check.h"
#include "cli/image_elf.h"
#include "cli/image_tree.h"
#include "cli/inputs.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/runtime.h"
#include "engine/bundle_signature.h"
#include "engine/machine_setup.h"
#include "policy/text.h"

namespace bulkhead {
namespace {

// Errors are printed.
bool IsUsable(const std::string& path, const tl::expected<ElfKind, std::string>& kind, Arch arch,
              bool program) {
  if (!kind) {
    PrintError(kind.error());
    return false;
  }
  if (kind->arch != arch) {
    PrintError(fmt::format("{} is for {}, the bundle for {}", Quoted(path), ArchName(kind->arch),
                           ArchName(arch)));
  } else if (program && (!kind->executable || kind->interpreted)) {
    PrintError(fmt::format("{} is no static program: PID 1 has no loader", Quoted(path)));
  } else if (!program && kind->executable) {
    PrintError(fmt::format("{} is no kernel module", Quoted(path)));
  } else {
    return true;
  }
  return false;
}

void PrintProblems(const std::vector<ImageProblem>& problems, const std::string& root) {
  for (const ImageProblem& problem : problems) {
    const std::string who =
        problem.component.empty() ? "" : fmt::format("component {}: ", Quoted(problem.component));
    PrintError(fmt::format("{}{} {} in {}", who, Quoted(problem.path), problem.what, Quoted(root)),
               problem.statement);
  }
}

// Empty where there is none.
tl::expected<std::vector<uint8_t>, std::string> ReadSignature(const std::string& path) {
  std::error_code error;
  const auto kind = std::filesystem::symlink_status(path, error).type();
  if (kind == std::filesystem::file_type::not_found) return std::vector<uint8_t>();
  return ReadFile(path, kMaxSignatureText);
}

// By the words of bulkhead-init, which would refuse the same.
void PrintUnsigned(const std::string& defect, const std::string& bundle, const std::string& root) {
  PrintError(
      fmt::format("bundle {} refused: {}", Quoted(bundle), defect),
      fmt::format(
          "{} has a key in {}, 64 hexadecimal digits and nothing else, as `bulkhead sign` prints "
          "it; `bulkhead sign --key KEY {}` writes {}{}",
          Quoted(root), kBundleKeyPath, Shown(bundle), Shown(bundle), kSignatureSuffix));
}

struct Image {
  std::string path;
  Digest bundle{};
  std::string platform;
  WrittenImage written;
  ImageNotes notes;
  std::vector<std::string> shared;
  bool signed_only = false;  // the tree has a key, which the signature fits
};

// Nitro measures the kernel, its command line and the first ramdisk into PCR1, the ramdisks behind
// the first into PCR2: of none, when all is in one image.
std::string NitroText(const Image& image) {
  return fmt::format(
      "PCR0, PCR1 take this image with the kernel and its command line, when it is built as\n"
      "        eif_build --kernel KERNEL --kernel_config CONFIG --cmdline CMDLINE --ramdisk {} "
      "--output enclave.eif\n"
      "PCR2    {} (no further ramdisk)\n",
      image.path, Hex(RegisterOf(Sha384(std::string_view()))));
}

std::string ListText(std::string_view what, const std::vector<std::string>& paths) {
  std::string out;
  for (const std::string& path : paths) out += fmt::format("{}: {}\n", what, Shown(path));
  return out;
}

std::string ImageText(const Image& image) {
  std::string out = fmt::format("wrote {} ({} bytes, {} entries)\nimage   {}\nbundle  {}\n",
                                image.path, image.written.bytes, image.written.entries,
                                DigestText(image.written.digest), DigestText(image.bundle));
  if (image.signed_only) out += fmt::format("signed  by the key in {}\n", kBundleKeyPath);
  if (image.platform == "nitro") out += NitroText(image);
  out += ListText("set-user-id or set-group-id cleared", image.notes.cleared);
  out += ListText("left out, neither file nor directory nor link", image.notes.left_out);
  out += ListText("left to root, as several components may write it", image.shared);
  if (image.notes.covered != 0) {
    out += fmt::format("left out beneath /dev, /proc, /run, /sys, /tmp: {}\n", image.notes.covered);
  }
  if (image.notes.unlinked != 0) {
    out += fmt::format("hard links made files of their own: {}\n", image.notes.unlinked);
  }
  return out;
}

std::string ImageJson(const Image& image) {
  Json json{{"path", image.path},
            {"bytes", image.written.bytes},
            {"entries", image.written.entries},
            {"image", DigestText(image.written.digest)},
            {"bundle", DigestText(image.bundle)},
            {"signed", image.signed_only},
            {"cleared", image.notes.cleared},
            {"left_out", image.notes.left_out},
            {"covered", image.notes.covered},
            {"hard_links", image.notes.unlinked},
            {"left_to_root", image.shared}};
  if (image.platform == "nitro") {
    json["pcr2"] = Hex(RegisterOf(Sha384(std::string_view())));
  }
  return JsonText(json);
}

// By the first bytes of a file; empty: by nothing that is known.
std::string_view CompressorOf(const std::string& path) {
  constexpr std::pair<std::string_view, std::string_view> kMagic[] = {
      {"\x1f\x8b", "gzip"},
      {"\xfd\x37zXZ", "xz"},
      {"\x28\xb5\x2f\xfd", "zstd"},
      {"BZh", "bzip2"},
  };
  std::array<char, 5> first{};
  std::ifstream(path, std::ios::binary).read(first.data(), first.size());
  for (const auto& [magic, name] : kMagic) {
    if (std::string_view(first.data(), first.size()).starts_with(magic)) return name;
  }
  return {};
}

std::string HelpOnTree(const std::string& root) {
  const std::string_view compressor = CompressorOf(root);
  return compressor.empty() ? std::string()
                            : fmt::format("it is compressed: unpack it by `{} -d`", compressor);
}

// What an image is made of is not written over.
bool IsInput(const std::string& output, const std::vector<std::string>& inputs) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path place = fs::weakly_canonical(fs::absolute(output, error), error);
  return std::ranges::any_of(inputs, [&](const std::string& input) {
    return place == fs::weakly_canonical(fs::absolute(input, error), error) ||
           fs::equivalent(output, input, error);
  });
}

// An image within its own tree would hold the one before it.
bool IsWithin(const std::string& file, const std::string& root) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(root, error)) return false;
  const fs::path tree = fs::canonical(root, error);
  const fs::path place = fs::weakly_canonical(fs::absolute(file, error).parent_path(), error);
  return !error && std::ranges::mismatch(tree, place).in1 == tree.end();
}

int Fail(const std::string& what, std::string_view help = {}) {
  PrintError(what, help);
  return kExitCannot;
}

}  // namespace

int MakeImage(const Invocation& invocation) {
  const std::string bundle = invocation.One(Parameter::kBundle);
  const auto opened = OpenBundle(bundle);
  if (!opened) return opened.error();
  const Arch arch = opened->bundle->target.arch;
  ImageParts parts;
  const auto init = FindInit(invocation.One(Parameter::kImageInit));
  if (!init) return Fail("bulkhead-init is neither beside bulkhead nor in PATH");
  parts.init = *init;
  parts.bundle = opened->bytes;
  const auto signature = ReadSignature(bundle + std::string(kSignatureSuffix));
  if (!signature) return Fail(signature.error());
  parts.signature = *signature;
  parts.modules = invocation.All(Parameter::kModule);
  if (parts.modules.size() > kMaxModules) {
    return Fail(fmt::format("{} modules are more than {}", parts.modules.size(), kMaxModules));
  }
  if (!IsUsable(parts.init, ReadElf(parts.init), arch, true)) return kExitCannot;
  for (const std::string& module : parts.modules) {
    if (!IsUsable(module, ReadElf(module), arch, false)) return kExitCannot;
  }
  const std::string root = invocation.One(Parameter::kRootTree);
  const std::string output = invocation.One(Parameter::kFileOutput);
  if (IsWithin(output, root)) {
    return Fail(fmt::format("{} is within the tree {}", output, Quoted(root)),
                "the next image would hold this one: write it elsewhere");
  }
  std::vector<std::string> inputs{bundle, bundle + std::string(kSignatureSuffix), root, parts.init};
  inputs.insert(inputs.end(), parts.modules.begin(), parts.modules.end());
  if (IsInput(output, inputs)) {
    return Fail(fmt::format("{} is what the image is made of", Quoted(output)),
                "write it elsewhere");
  }
  auto tree = ReadImageTree(root);
  if (!tree) return Fail(tree.error(), HelpOnTree(root));
  const auto problems = CheckTree(opened->bundle, *tree);
  PrintProblems(problems, root);
  const std::string key = BundleKeyText(*tree);
  const std::string defect = ImageSignatureDefect(
      key, {reinterpret_cast<const char*>(parts.signature.data()), parts.signature.size()},
      parts.bundle);
  if (!defect.empty()) PrintUnsigned(defect, bundle, root);
  if (!problems.empty() || !defect.empty()) {
    PrintError(fmt::format("the enclave would not boot from {}; nothing is written", Quoted(root)));
    return kExitNo;
  }
  Image image{output, opened->digest, opened->bundle->target.platform, {}, tree->notes,
              {},     !key.empty()};
  image.shared = SetOwners(opened->bundle, *tree);
  const auto written = WriteImage(image.path, parts, *tree);
  if (!written) return Fail(written.error());
  image.written = *written;
  const bool json = invocation.One(Parameter::kFormat) == "json";
  return PrintOut(json ? ImageJson(image) : ImageText(image)) ? kExitDone : kExitCannot;
}

}  // namespace bulkhead
