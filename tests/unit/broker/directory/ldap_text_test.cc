#include "broker/directory/ldap_text.h"

#include <gtest/gtest.h>
#include <ldap.h>

#include <random>
#include <string>
#include <vector>

#include "broker/model/names.h"

namespace werkplek {
namespace {

const std::vector<std::string>& Hostile() {
  static const std::vector<std::string> list = {"*",
                                                "jan*",
                                                "*)(uid=*",
                                                "jan)(|(uid=*",
                                                "jan))(|(objectClass=*",
                                                "\\",
                                                "\\2a",
                                                "(",
                                                ")",
                                                std::string("jan\0*", 5),
                                                "jan\n",
                                                "j\xc3\xa4n",
                                                "&",
                                                "|",
                                                "!",
                                                "=",
                                                "jan)(userPassword=*",
                                                "x,ou=admins",
                                                " jan",
                                                "jan ",
                                                "#jan",
                                                "a+b",
                                                "a\"b",
                                                "a<b>c;d"};
  return list;
}

// The value of (a=VALUE) as the protocol would carry it: escapes undone, the way RFC 4515 says.
std::string ParseBack(const std::string& escaped) {
  std::string value;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\') {
      value += static_cast<char>(std::stoi(escaped.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      value += escaped[i];
    }
  }
  return value;
}

TEST(LdapTextTest, FilterValuesComeBackAsTheyWere) {
  std::vector<std::string> values = Hostile();
  std::mt19937_64 random(4515);
  for (int i = 0; i < 10'000; ++i) {
    std::string value(random() % 40, '\0');
    for (char& c : value) c = static_cast<char>(random());
    values.push_back(value);
  }
  for (const std::string& value : values) {
    const std::string escaped = EscapeFilterValue(value);
    EXPECT_EQ(escaped.find_first_of(std::string("*()\0\n", 5)), std::string::npos) << value;
    EXPECT_EQ(ParseBack(escaped), value);
  }
}

TEST(LdapTextTest, FilterExamplesOfRfc4515) {
  EXPECT_EQ(EscapeFilterValue("Parens R Us (for all your parenthetical needs)"),
            "Parens R Us \\28for all your parenthetical needs\\29");
  EXPECT_EQ(EscapeFilterValue("*"), "\\2a");
  EXPECT_EQ(EscapeFilterValue("C:\\MyFile"), "C:\\5cMyFile");
  EXPECT_EQ(EscapeFilterValue("Lu\xc4\x8di\xc4\x87"), "Lu\\c4\\8di\\c4\\87");
}

TEST(LdapTextTest, FilledFiltersKeepTheirShape) {
  EXPECT_EQ(FillFilter("(&(objectClass=person)(uid={user}))", "{user}", "a)(uid=*"),
            "(&(objectClass=person)(uid=a\\29\\28uid=\\2a))");
  EXPECT_EQ(FillFilter("(|(uid={user})(mail={user}))", "{user}", "j"), "(|(uid=j)(mail=j))");
  // The value is not searched for holes again.
  EXPECT_EQ(FillFilter("(uid={user})", "{user}", "{user}"), "(uid={user})");
}

TEST(LdapTextTest, DnValuesAreOneValueForLibldap) {
  std::vector<std::string> values = Hostile();
  values.push_back("James \"Jim\" Smith, III");
  for (const std::string& value : values) {
    if (value.find('\n') != std::string::npos) continue;
    const std::string dn = "cn=" + EscapeDnValue(value) + ",dc=nl";
    LDAPDN parsed = nullptr;
    ASSERT_EQ(ldap_str2dn(dn.c_str(), &parsed, LDAP_DN_FORMAT_LDAPV3), LDAP_SUCCESS) << dn;
    ASSERT_NE(parsed[1], nullptr);
    EXPECT_EQ(parsed[2], nullptr) << dn;
    EXPECT_EQ(parsed[0][1], nullptr) << dn;
    const berval& read = parsed[0][0]->la_value;
    EXPECT_EQ(std::string(read.bv_val, read.bv_len), value) << dn;
    ldap_dnfree(parsed);
  }
}

TEST(LdapTextTest, OnlyPlainNamesAreLookedUp) {
  for (const char* name : {"jan", "Jan.de-Vries", "j_1@voorbeeld.nl", "7", "-"}) {
    EXPECT_TRUE(IsUserName(name)) << name;
  }
  EXPECT_TRUE(IsUserName(std::string(64, 'a')));
  EXPECT_FALSE(IsUserName(std::string(65, 'a')));
  EXPECT_FALSE(IsUserName(""));
  for (const std::string& name : Hostile()) EXPECT_FALSE(IsUserName(name)) << name;
}

TEST(LdapTextTest, PasswordsThatAreNeverSent) {
  EXPECT_EQ(PasswordRefusal("x"), "");
  EXPECT_EQ(PasswordRefusal(" x "), "");
  EXPECT_EQ(PasswordRefusal("p\xc3\xa4ss"), "");
  EXPECT_EQ(PasswordRefusal(std::string(1024, 'x')), "");
  EXPECT_EQ(PasswordRefusal(std::string(1025, 'x')), "password of more than 1024 bytes");
  EXPECT_EQ(PasswordRefusal(""), "empty password");
  EXPECT_EQ(PasswordRefusal("   "), "password of spaces");
  EXPECT_EQ(PasswordRefusal(absl::string_view("\0secret", 7)), "password with a NUL byte");
  EXPECT_EQ(PasswordRefusal(absl::string_view("secret\0", 7)), "password with a NUL byte");
  EXPECT_EQ(PasswordRefusal(absl::string_view("\0", 1)), "password with a NUL byte");
}

}  // namespace
}  // namespace werkplek
