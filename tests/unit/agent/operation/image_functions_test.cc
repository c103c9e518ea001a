// Desktops made on a real image store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/image/image_file.h"
#include "agent/operation/run_operation.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ImageFunctionsTest : public testing::Test {
 protected:
  ImageFunctionsTest() {
    const std::string raw = folder_.Write("source.raw", std::string(65536, 'x'));
    EXPECT_TRUE(RunProgram({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, source_}).ok());
    auto store = ImageStore::Open(folder_.File("store"));
    EXPECT_TRUE(store.ok()) << store.status();
    store_.emplace(*std::move(store));
    create_.id = 1;
    create_.kind = OperationKind::kCreate;
    create_.desktop = "d1";
    create_.tag.desktop = "d1";
    create_.tag.generation = 1;
    create_.uuid = "00000000-0000-8000-8000-000000000001";
    create_.spec.set_memory_mib(192);
    create_.spec.set_vcpus(1);
    create_.image_name = "tiny";
    create_.image.set_source(source_);
    create_.image.set_sha256(*HashFile(source_));
    create_.image.set_format("qcow2");
    EXPECT_EQ(store_->Fetch("tiny", create_.image), absl::OkStatus());
  }

  std::string Copy() const {
    return folder_.File("store/images/" + create_.image.sha256() + ".qcow2");
  }
  void DamageCopy() const {
    fs::permissions(Copy(), fs::perms::owner_write, fs::perm_options::add);
    std::ofstream(Copy(), std::ios::app) << "something";
  }
  OperationResult Run() {
    return RunOperation(create_, hypervisor_, FunctionsOf(*store_, no_shared_),
                        [] { return absl::Seconds(1); });
  }

  TemporaryFolder folder_;
  const std::string source_ = folder_.File("source.qcow2");
  std::optional<ImageStore> store_;
  const std::map<std::string, std::unique_ptr<SharedStorage>> no_shared_;
  FakeHypervisor hypervisor_;
  Operation create_;
};

TEST_F(ImageFunctionsTest, ACopyThatWasOnlyTouchedServesOn) {
  fs::last_write_time(Copy(), fs::last_write_time(Copy()) + std::chrono::hours(1));
  EXPECT_EQ(Run().status, absl::OkStatus());
  EXPECT_TRUE(store_->Report()[0].verified());
}

TEST_F(ImageFunctionsTest, ADamagedCopyIsFetchedAgain) {
  DamageCopy();
  EXPECT_EQ(Run().status, absl::OkStatus());
  EXPECT_EQ(*HashFile(Copy()), create_.image.sha256());
  EXPECT_TRUE(store_->Report()[0].verified());
}

TEST_F(ImageFunctionsTest, InAStorageWhatTheHostItselfHasIsWanted) {
  fs::create_directory(folder_.File("shared"));
  std::map<std::string, std::unique_ptr<SharedStorage>> shared;
  shared["nfs-1"] =
      std::make_unique<SharedStorage>(SharedStorageOptions{.name = "nfs-1",
                                                           .path = folder_.File("shared"),
                                                           .host = "hv-a",
                                                           .id_file = folder_.File("nfs-1.id"),
                                                           .plain_folder = true,
                                                           .image_folders = {}});
  const ImageFunctions functions = FunctionsOf(*store_, shared);
  const auto copy = [&] {
    return folder_.File("shared/images/") + create_.image.sha256() + ".qcow2";
  };
  ASSERT_EQ(functions.fetch("nfs-1", "tiny", create_.image), absl::OkStatus());
  absl::Duration now;
  functions.remove_leftovers(now, {});
  functions.remove_leftovers(now += SharedStorage::kLeftoverAge, {});
  EXPECT_TRUE(fs::exists(copy()));
  ASSERT_EQ(store_->Drop("tiny"), absl::OkStatus());
  functions.remove_leftovers(now += SharedStorage::kLeftoverAge, {});
  EXPECT_TRUE(fs::exists(copy()));
  functions.remove_leftovers(now += SharedStorage::kLeftoverAge, {});
  EXPECT_FALSE(fs::exists(copy()));
}

TEST_F(ImageFunctionsTest, ADamagedCopyThatCannotBeFetchedAgainIsTold) {
  DamageCopy();
  fs::remove(source_);
  for (int i = 0; i < 2; ++i) {
    const OperationResult result = Run();
    EXPECT_EQ(result.status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(result.status.message()), HasSubstr(source_));
    ASSERT_EQ(result.images.size(), 1u);
    EXPECT_FALSE(result.images[0].verified());
    EXPECT_THAT(result.images[0].error(), HasSubstr(source_));
  }
}

}  // namespace
}  // namespace werkplek
