// SPDX-License-Identifier: Apache-2.0
#include "cli/image_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "cli/image_archive.h"
#include "engine/bundle_signature.h"
#include "engine/kept_paths.h"
#include "sandbox/view.h"

namespace bulkhead {
namespace {

constexpr size_t kMaxProgram = 1U << 30;

// Those that the tree has, or should.
bool IsOfTree(const ViewEntry& entry) {
  switch (entry.kind) {
    case ViewKind::kReadOnly:
    case ViewKind::kData:
    case ViewKind::kWritable:
    case ViewKind::kState:
      return true;
    case ViewKind::kRuntime:
    case ViewKind::kPrivate:
    case ViewKind::kDevice:
    case ViewKind::kEdge:
    case ViewKind::kTripwire:
      return false;
  }
  return false;
}

bool IsTmpfs(const ViewEntry& entry) {
  return entry.kind == ViewKind::kPrivate || entry.kind == ViewKind::kRuntime;
}

constexpr std::string_view kNotThere = "is not there";

// What the machine's /dev has of directories; the rest of it are devices.
constexpr std::string_view kDeviceDirectories[] = {"/dev", "/dev/pts", "/dev/shm"};

bool IsDevice(const std::string& path) {
  return Covers("/dev", path) &&
         std::ranges::find(kDeviceDirectories, path) == std::end(kDeviceDirectories);
}

using Owners = std::map<std::string, std::vector<const ProfileData*>>;

// Who is given what; sorted, so that what is beneath another comes after it.
Owners OwnersOf(const Bundle& bundle) {
  Owners owners;
  for (const ProfileData& profile : bundle->components) {
    for (const ViewEntry& entry : profile.view) {
      if (entry.kind == ViewKind::kState || entry.kind == ViewKind::kWritable) {
        owners[entry.path].push_back(&profile);
      }
    }
  }
  return owners;
}

// What the kernel mounts over is without links.
ReadLink LinkOf(const ImageTree& tree) {
  return [&tree](const std::string& path) {
    const auto found = tree.nodes.find(path);
    const bool link = found != tree.nodes.end() && found->second.kind == ImageKind::kSymlink;
    return link && CoveringDirectory(path).empty() ? found->second.target : std::string();
  };
}

class Checker {
 public:
  Checker(const Bundle& bundle, const ImageTree& tree, std::vector<ImageProblem>& problems)
      : tree_(tree),
        problems_(problems),
        owners_(OwnersOf(bundle)),
        kept_(KeptPaths(bundle, "/run/bulkhead", LinkOf(tree))) {}

  void Component(const ProfileData& profile) {
    component_ = profile.name;
    profile_ = &profile;
    Program(profile);
    std::map<std::string, ViewKind> mounted;
    for (const ViewEntry& entry : profile.view) {
      if (IsOfTree(entry)) {
        if (View(entry)) Twice(entry, mounted);
      } else if (IsTmpfs(entry)) {
        MountPoint(profile, entry);
      }
    }
    for (const Secret& secret : profile.secrets) {
      const Resolved* const found = Find(secret.path, secret.rule);
      if (found == nullptr) continue;
      if (!found->links.empty()) {
        // As engine/secrets.cc.
        Add(secret.rule, secret.path, "is reached over a symbolic link");
      } else if (found->node->kind != ImageKind::kFile) {
        Add(secret.rule, secret.path, "is no file");
      } else if (found->node->size == 0 || found->node->size > kMaxSecretBytes) {
        Add(secret.rule, secret.path,
            fmt::format("has {} bytes: a secret has 1 to {}", found->node->size, kMaxSecretBytes));
      }
    }
  }

 private:
  void Add(const std::string& statement, const std::string& path, const std::string& what) {
    problems_.push_back({component_, statement, path, what});
  }

  struct Lookup {
    tl::expected<Resolved, std::string> found;
    std::vector<std::string> links;  // on the way, also to what is not there
    std::string real;                // the path that was asked for where nothing is found
  };

  // Each path is resolved once.
  const Lookup& At(const std::string& path) {
    const auto [known, is_new] = lookups_.try_emplace(path);
    Lookup& lookup = known->second;
    if (!is_new) return lookup;
    lookup.found = Resolve(tree_, path, &lookup.links);
    lookup.real = !lookup.found ? path : lookup.found->path.empty() ? "/" : lookup.found->path;
    return lookup;
  }

  // What is there, with its node. Nothing: it was said why, or it is the kernel's, as /dev, /proc
  // and /sys are; what /run and /tmp hold is made after the boot. `optional`: it may be missing.
  const Resolved* Find(const std::string& path, const std::string& statement,
                       bool optional = false) {
    const auto& [found, links, real] = At(path);
    if (!found && found.error() != kNotThere) return Lacks(statement, path, found.error());
    for (const std::string& link : links) {
      if (IsTrusted(link)) continue;
      return Lacks(statement, path,
                   "is reached over `" + link + "`, a link that others than root can set");
    }
    if (!found) return optional ? nullptr : Lacks(statement, path, found.error());
    if (found->node != nullptr) return &*found;
    const std::string_view covering = CoveringDirectory(found->path);
    if (covering == "/run" || covering == "/tmp") {
      if (optional) return nullptr;
      return Lacks(statement, path,
                   "is beneath " + std::string(covering) + ", which is empty at boot");
    }
    if (!found->links.empty() && IsDevice(real)) {
      return Lacks(statement, path, "is `" + real + "`, which is neither a file nor a directory");
    }
    return nullptr;
  }

  const Resolved* Lacks(const std::string& statement, const std::string& path,
                        const std::string& what) {
    Add(statement, path, what);
    return nullptr;
  }

  // As sandbox/view.cc, with the owners that the image will have.
  bool IsTrusted(const std::string& link) const {
    const std::string parent = link.substr(0, link.rfind('/'));
    const auto found = tree_.nodes.find(parent);
    const bool open = found != tree_.nodes.end() && (found->second.mode & 022) != 0;
    return !open && OwnerOf(link) == nullptr;
  }

  const ProfileData* OwnerOf(const std::string& path) const {
    const ProfileData* owner = nullptr;
    for (const auto& [given, components] : owners_) {
      if (Covers(given, path) && components.size() == 1) owner = components.front();
    }
    return owner;
  }

  void Program(const ProfileData& profile) {
    const std::string statement = "components." + profile.name + ".exec";
    const std::string& path = profile.argv.front();
    const Resolved* const found = Find(path, statement);
    if (found == nullptr) return;
    const ImageNode* const node = found->node;
    // Of root, or given to the component.
    const uint32_t execute = OwnerOf(found->path) == &profile ? 0100 : 0001;
    if (node->kind != ImageKind::kFile || (node->mode & execute) == 0 || node->size == 0) {
      return Add(statement, path, "is no program that may be executed");
    }
    Way(profile, found->path, statement);
    if (!profile.pin) return;
    const auto bytes = ReadContent(*node, kMaxProgram);
    if (!bytes) return Add(statement, path, bytes.error());
    if (Sha384(*bytes) != *profile.pin) {
      Add(statement, path,
          "is another file than the pinned one: it is sha384:" + Hex(Sha384(*bytes)) +
              ", pinned is sha384:" + Hex(*profile.pin));
    }
  }

  // What the component must be let through to its program: the directories of the tree that it sees
  // as they are, from the one that is granted on.
  void Way(const ProfileData& profile, const std::string& program, const std::string& statement) {
    for (size_t at = program.find('/', 1); at != std::string::npos;
         at = program.find('/', at + 1)) {
      const std::string directory = program.substr(0, at);
      const bool granted = std::ranges::any_of(profile.view, [&](const ViewEntry& entry) {
        if (!IsOfTree(entry)) return false;
        const auto& found = At(entry.path).found;
        return found && Covers(found->path, directory);
      });
      const auto found = tree_.nodes.find(directory);
      if (!granted || found == tree_.nodes.end()) continue;
      const uint32_t execute = OwnerOf(directory) == &profile ? 0100 : 0001;
      if ((found->second.mode & execute) != 0) continue;
      return Add(statement, program, "is beneath `" + directory + "`, which lets it not through");
    }
  }

  // As sandbox/view.cc: one inode has one kind of mount.
  void Twice(const ViewEntry& entry, std::map<std::string, ViewKind>& mounted) {
    const Lookup& lookup = At(entry.path);
    if (!lookup.found) return;
    const ViewKind kind = entry.kind == ViewKind::kState ? ViewKind::kWritable : entry.kind;
    const auto [known, is_new] = mounted.try_emplace(lookup.real, kind);
    if (is_new || known->second == kind) return;
    Add(entry.rule, entry.path, "is `" + lookup.real + "`, which is named twice, in other ways");
  }

  // Where a tmpfs is mounted: what is nearest above it in the view decides.
  void MountPoint(const ProfileData& profile, const ViewEntry& entry) {
    const ViewEntry* nearest = nullptr;
    size_t depth = 0;
    for (const ViewEntry& other : profile.view) {
      const bool of_tree = IsOfTree(other);
      if (&other == &entry || (!of_tree && !IsTmpfs(other))) continue;
      std::string real = other.path;
      if (of_tree) {
        const Lookup& bound = At(other.path);
        if (!bound.found) continue;
        real = bound.real;
      }
      if (real == entry.path) {
        return Add(entry.rule, entry.path, "is named twice: `" + other.path + "` leads to it");
      }
      const bool by_name = Covers(other.path, entry.path);
      if ((!Covers(real, entry.path) && !by_name) || other.path.size() < depth) continue;
      nearest = &other;
      depth = other.path.size();
    }
    if (nearest == nullptr || IsTmpfs(*nearest)) return;  // it is made there
    const auto& found = At(entry.path).found;
    const std::string parent = entry.path.substr(0, std::max<size_t>(entry.path.rfind('/'), 1));
    if (!found && found.error() == kNotThere && !IsReadOnlyBind(nearest->kind)) {
      const Lookup& above = At(parent);
      if (!above.found || above.real != parent)
        Add(entry.rule, entry.path, "can't be made: its directory is not there");
      return;
    }
    if (!found) {
      return Add(entry.rule, entry.path,
                 found.error() + ", and `" + nearest->path + "` is not its own to make it in");
    }
    if (found->path != entry.path) {
      return Add(entry.rule, entry.path,
                 "is reached over a symbolic link: name it `" + found->path + "`");
    }
    if (found->node != nullptr && found->node->kind != ImageKind::kDirectory) {
      Add(entry.rule, entry.path, "is no directory");
    }
  }

  // False: it was said what is wrong.
  bool View(const ViewEntry& entry) {
    // As sandbox/view.cc: what is written to has one name, and what has another is nobody's own.
    const std::string& real = At(entry.path).real;
    const auto refuse = [&](const std::string& what) {
      Add(entry.rule, entry.path, what);
      return false;
    };
    if (real != entry.path && !IsReadOnlyBind(entry.kind)) {
      return refuse("is reached over a symbolic link: name it `" + real + "`");
    }
    const std::string met = MeetsKept(*profile_, kept_, entry.path, real);
    if (!met.empty()) return refuse(met);
    const size_t before = problems_.size();
    const Resolved* const there = Find(entry.path, entry.rule, entry.optional);
    if (there == nullptr || entry.kind != ViewKind::kState) return problems_.size() == before;
    if (there->node->kind != ImageKind::kDirectory) return refuse("is no directory");
    return (there->node->mode & 022) == 0 || refuse("may be written by others");
  }

  const ImageTree& tree_;
  std::vector<ImageProblem>& problems_;
  Owners owners_;
  std::map<std::string, Lookup> lookups_;
  std::vector<KeptPath> kept_;
  std::string component_;
  const ProfileData* profile_ = nullptr;  // of the component
};

void Give(ImageTree& tree, const std::string& path, const ProfileData& owner) {
  const auto found = Resolve(tree, path);
  if (!found || found->node == nullptr) return;
  const std::string beneath = found->path + "/";
  for (auto& [name, node] : tree.nodes) {
    if (name != found->path && !name.starts_with(beneath)) continue;
    node.uid = owner.uid;
    node.gid = owner.gid;
  }
}

}  // namespace

std::vector<ImageProblem> CheckTree(const Bundle& bundle, const ImageTree& tree) {
  std::vector<ImageProblem> problems;
  Checker checker(bundle, tree, problems);
  for (LinkedAsset& linked : LinkedAssets(bundle, LinkOf(tree))) {
    problems.push_back(
        {"", "assets." + linked.asset, std::move(linked.file), std::move(linked.problem)});
  }
  for (const ProfileData& profile : bundle->components) checker.Component(profile);
  return problems;
}

tl::expected<std::vector<ImageProblem>, std::string> CheckRoot(const Bundle& bundle,
                                                               const std::string& root) {
  const auto tree = ReadImageTree(root);
  if (!tree) return tl::make_unexpected(tree.error());
  return CheckTree(bundle, *tree);
}

std::string BundleKeyText(const ImageTree& tree) {
  constexpr const char* kUnusable = "?";
  const size_t slash = kBundleKeyPath.rfind('/');
  const auto directory = Resolve(tree, kBundleKeyPath.substr(0, slash));
  if (!directory) return directory.error() == kNotThere ? "" : kUnusable;
  if (!CoveringDirectory(directory->path).empty()) return {};
  if (directory->node != nullptr && directory->node->kind != ImageKind::kDirectory) {
    return kUnusable;
  }
  const auto key = tree.nodes.find(directory->path + std::string(kBundleKeyPath.substr(slash)));
  if (key == tree.nodes.end()) return {};
  if (key->second.kind != ImageKind::kFile || key->second.size == 0) return kUnusable;
  const auto text = ReadContent(key->second, kMaxSignatureText);
  return text ? std::string(text->begin(), text->end()) : kUnusable;
}

std::vector<std::string> SetOwners(const Bundle& bundle, ImageTree& tree) {
  std::vector<std::string> shared;
  for (const auto& [path, components] : OwnersOf(bundle)) {
    if (components.size() == 1) {
      Give(tree, path, *components.front());
    } else {
      shared.push_back(path);
    }
  }
  return shared;
}

}  // namespace bulkhead
