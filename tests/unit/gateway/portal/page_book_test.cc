// Which paths of the portal have a page, and that there are no others.
#include "gateway/portal/page_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kScript[] = "text/javascript; charset=utf-8";

class PageBookTest : public testing::Test {
 protected:
  PageBookTest() {
    folder_.Write("novnc/core/rfb.js", "rfb");
    folder_.Write("novnc/core/util/browser.js", "browser");
    folder_.Write("novnc/vendor/pako/lib/zlib/inflate.js", "inflate");
    folder_.Write("novnc/core/README.md", "text");
    folder_.Write("novnc/core/rfb.js.map", "map");
    folder_.Write("novnc/app/ui.js", "ui");
    folder_.Write("novnc/vnc.html", "page");
    folder_.Write("secret.js", "secret");
    std::filesystem::create_directory(folder_.File("novnc/core/folder.js"));
  }

  PageBook MustLoad() const {
    absl::StatusOr<PageBook> book = PageBook::Load(novnc_);
    EXPECT_TRUE(book.ok()) << book.status();
    return *std::move(book);
  }
  // NOT_FOUND, and what to do.
  void ExpectToBeTold(const std::string& where) const {
    const absl::Status status = PageBook::Load(novnc_).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(where), HasSubstr("install Debian's package novnc")));
  }

  TemporaryFolder folder_;
  const std::string novnc_ = folder_.File("novnc");
};

TEST_F(PageBookTest, OurOwnPagesAreThere) {
  const PageBook book = MustLoad();
  const std::pair<const char*, const char*> all[] = {
      {"/", "text/html; charset=utf-8"},
      {"/portal.js", kScript},
      {"/texts.js", kScript},
      {"/portal.css", "text/css; charset=utf-8"},
      {"/favicon.svg", "image/svg+xml"},
  };
  for (const auto& [path, type] : all) {
    const Page* page = book.Find(path);
    ASSERT_NE(page, nullptr) << path;
    EXPECT_EQ(page->content_type, type) << path;
    EXPECT_FALSE(page->body.empty()) << path;
  }
}

TEST_F(PageBookTest, EveryFileOfOursIsAPage) {
  const PageBook book = MustLoad();
  const std::filesystem::path pages =
      absl::StrCat(std::getenv("WERKPLEK_SOURCE_DIR"), "/gateway/portal/pages");
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator(pages)) {
    const std::string name = file.path().filename().string();
    const Page* page = book.Find(name == "index.html" ? "/" : "/" + name);
    ASSERT_NE(page, nullptr) << name << " is missing in gateway/portal/CMakeLists.txt";
    EXPECT_EQ(page->body, ReadWholeFile(file.path().string())) << name;
    ++count;
  }
  EXPECT_GE(count, 5);
}

// The text of `key` in texts.js: both languages.
std::string TextsOf(const std::string& texts, const std::string& key) {
  const size_t at = texts.find(absl::StrCat("\n  ", key, ": ["));
  return at == std::string::npos ? "" : texts.substr(at, texts.find("\n  ],", at) - at);
}

TEST_F(PageBookTest, WhoeverIsTooManyIsToldWhenToTryAgainInBothLanguages) {
  const PageBook book = MustLoad();
  const std::string& texts = book.Find("/texts.js")->body;
  for (const char* key : {"\"too-many\"", "\"network-busy\"", "\"gateway-full\""}) {
    const std::string text = TextsOf(texts, key);
    EXPECT_THAT(text,
                AllOf(HasSubstr("over {seconds} seconden"), HasSubstr("in {seconds} seconds")))
        << key;
  }
  EXPECT_THAT(TextsOf(texts, "\"gateway-full\""),
              AllOf(HasSubstr("Deze gateway is vol"), HasSubstr("This gateway is full")));
  EXPECT_THAT(TextsOf(texts, "\"network-busy\""),
              AllOf(HasSubstr("Vanaf jouw netwerk"), HasSubstr("from your network")));
  EXPECT_THAT(book.Find("/desktop.js")->body, HasSubstr("message.retry_after_s"));
}

TEST_F(PageBookTest, EveryRuleOfARefusalIsSaidInBothLanguages) {
  const PageBook book = MustLoad();
  const std::string& texts = book.Find("/texts.js")->body;
  // Those of broker/core, of which the reasons are for administrators.
  for (const char* rule :
       {"no-entitlement", "queue-full", "pool-draining", "pool-maintenance", "pool-broken",
        "site-braked", "site-open", "site-loss", "host-open", "host-silent", "start-failed"}) {
    EXPECT_THAT(texts, HasSubstr(absl::StrCat("\n  \"", rule, "\": ["))) << rule;
  }
  EXPECT_THAT(texts, HasSubstr("\n  deadline: ["));
}

// Six connections and a handful of files for whoever only signs in: many do so at once, behind one
// address.
TEST_F(PageBookTest, NovncIsFetchedOnlyForADesktop) {
  const PageBook book = MustLoad();
  std::set<std::string> fetched;
  std::vector<std::string> next = {"/portal.js"};
  const std::regex imports(R"re(^(?:import|\}) .*"\.?(/[^"]+)";$)re", std::regex::multiline);
  while (!next.empty()) {
    const std::string path = next.back();
    next.pop_back();
    if (!fetched.insert(path).second) continue;
    const Page* page = book.Find(path);
    ASSERT_NE(page, nullptr) << path;
    for (std::sregex_iterator at(page->body.begin(), page->body.end(), imports), end; at != end;
         ++at) {
      next.push_back((*at)[1]);
    }
  }
  EXPECT_THAT(fetched, testing::UnorderedElementsAre("/portal.js", "/api.js", "/desktop.js",
                                                     "/texts.js", "/views.js"));
}

TEST_F(PageBookTest, EachPageHasATagOfItsOwn) {
  const PageBook book = MustLoad();
  const std::string tag = book.Find("/novnc/core/rfb.js")->tag;
  EXPECT_THAT(tag, testing::MatchesRegex("\"[0-9a-f]{64}\""));
  EXPECT_NE(book.Find("/portal.js")->tag, tag);
  EXPECT_EQ(MustLoad().Find("/novnc/core/rfb.js")->tag, tag);
  folder_.Write("novnc/core/rfb.js", "newer");
  EXPECT_NE(MustLoad().Find("/novnc/core/rfb.js")->tag, tag);
}

TEST_F(PageBookTest, APageWhoseScriptsDoNotComeSaysSo) {
  const PageBook book = MustLoad();
  EXPECT_THAT(book.Find("/")->body, HasSubstr("<p id=\"loading\""));
  EXPECT_THAT(book.Find("/portal.js")->body, HasSubstr("element(\"loading\").remove()"));
}

TEST_F(PageBookTest, TheScriptsOfNovncAreThereByTheirPaths) {
  const PageBook book = MustLoad();
  const std::pair<const char*, const char*> all[] = {
      {"/novnc/core/rfb.js", "rfb"},
      {"/novnc/core/util/browser.js", "browser"},
      {"/novnc/vendor/pako/lib/zlib/inflate.js", "inflate"},
  };
  for (const auto& [path, body] : all) {
    const Page* page = book.Find(path);
    ASSERT_NE(page, nullptr) << path;
    EXPECT_EQ(page->content_type, kScript) << path;
    EXPECT_EQ(page->body, body) << path;
  }
}

TEST_F(PageBookTest, AFolderWithASlashAtItsEndIsTheSame) {
  const auto book = PageBook::Load(novnc_ + "/");
  ASSERT_TRUE(book.ok()) << book.status();
  EXPECT_NE(book->Find("/novnc/core/util/browser.js"), nullptr);
}

TEST_F(PageBookTest, AScriptThatIsALinkIsThereByItsOwnPath) {
  std::filesystem::create_symlink(folder_.Write("elsewhere/pako.js", "pako"),
                                  folder_.File("novnc/vendor/pako.js"));
  const PageBook book = MustLoad();
  ASSERT_NE(book.Find("/novnc/vendor/pako.js"), nullptr);
  EXPECT_EQ(book.Find("/novnc/vendor/pako.js")->body, "pako");
  EXPECT_EQ(book.Find("/novnc/../elsewhere/pako.js"), nullptr);
}

TEST_F(PageBookTest, NothingElseIsThere) {
  const PageBook book = MustLoad();
  for (const char* path : {"",
                           "index.html",
                           "/portal.html",
                           "//",
                           "/novnc",
                           "/novnc/",
                           "/novnc/core",
                           "/novnc/core/",
                           "/novnc/core/README.md",
                           "/novnc/core/rfb.js.map",
                           "/novnc/core/folder.js",
                           "/novnc/app/ui.js",
                           "/novnc/app/x.js",
                           "/novnc/vnc.html",
                           "/novnc/../..",
                           "/novnc/../secret.js",
                           "/novnc/core/../../secret.js",
                           "/novnc/core/../core/rfb.js",
                           "/novnc/core//rfb.js",
                           "/novnc/core/%72fb.js",
                           "/NOVNC/core/rfb.js",
                           "/novnc/core/rfb.js?",
                           "/etc/passwd"}) {
    EXPECT_EQ(book.Find(path), nullptr) << path;
  }
}

TEST_F(PageBookTest, WithoutNovncOneIsToldWhatToInstall) {
  std::filesystem::remove(folder_.File("novnc/core/rfb.js"));
  ExpectToBeTold(novnc_ + "/core/rfb.js");
  std::filesystem::remove_all(folder_.File("novnc/vendor"));
  ExpectToBeTold(novnc_ + "/vendor");
  std::filesystem::remove_all(novnc_);
  ExpectToBeTold(novnc_ + "/core");
}

TEST_F(PageBookTest, AScriptThatIsTooLargeIsNamed) {
  const std::string large = folder_.Write("novnc/core/large.js", std::string(1024 * 1024 + 1, ' '));
  const absl::Status status = PageBook::Load(novnc_).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(large));
}

}  // namespace
}  // namespace werkplek
