#include "broker/model/names.h"

#include <gtest/gtest.h>

#include <string>

namespace werkplek {
namespace {

TEST(NamesTest, ResourceNames) {
  for (const char* name : {"a", "0", "hv-a1", "a.b", "kantoor-2024.1"}) {
    EXPECT_TRUE(IsResourceName(name)) << name;
  }
  EXPECT_TRUE(IsResourceName(std::string(63, 'a')));
  for (const char* name : {"", "-a", "a-", ".a", "a.", "A", "a_b", "a b", "a/b", "\xc3\xa9"}) {
    EXPECT_FALSE(IsResourceName(name)) << name;
  }
  EXPECT_FALSE(IsResourceName(std::string(64, 'a')));
}

TEST(NamesTest, PeersOfMachines) {
  EXPECT_EQ(PeerOf(v1::IDENTITY_HOST, "hv-a1"), "host/hv-a1");
  EXPECT_EQ(IdentityOfPeer(PeerOf(v1::IDENTITY_GATEWAY, "gw-1")), v1::IDENTITY_GATEWAY);
  EXPECT_EQ(PeerOf(v1::IDENTITY_UNSPECIFIED, "hv-a1"), "");
  EXPECT_EQ(PeerOf(v1::IDENTITY_HOST, "HV"), "");
}

TEST(NamesTest, UserNames) {
  EXPECT_TRUE(IsUserName("Jan.de_Vries-2@example.nl"));
  EXPECT_TRUE(IsUserName(std::string(64, 'a')));
  for (const char* name : {"", "a b", "a/b", "a\n", "*", "a)(uid=*", "a,b"}) {
    EXPECT_FALSE(IsUserName(name)) << name;
  }
  EXPECT_FALSE(IsUserName(std::string(65, 'a')));
  EXPECT_FALSE(IsUserName(std::string("a\0b", 3)));
}

TEST(NamesTest, RequestIds) {
  EXPECT_TRUE(IsRequestId("0123456789abcdefABCDEF_-"));
  EXPECT_FALSE(IsRequestId(""));
  EXPECT_FALSE(IsRequestId("a/b"));
  EXPECT_FALSE(IsRequestId(std::string(65, 'a')));
}

TEST(NamesTest, Digests) {
  EXPECT_TRUE(IsSha256Hex(std::string(64, 'f')));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'F')));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'f')));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'g')));
}

v1::SignIn Person() {
  v1::SignIn person;
  person.set_user("Jan");
  person.add_groups("CN=Staff, OU=Groups,DC=example");
  person.add_groups("cn=a\\,b,dc=example");
  person.add_groups("ou=people,dc=example");
  return person;
}

bool Covered(const char* group, const char* user) {
  v1::Entitlement entitlement;
  entitlement.set_group(group);
  entitlement.set_user(user);
  return Entitled(Person()).By(entitlement);
}

TEST(EntitledTest, ByGroup) {
  EXPECT_TRUE(Covered("staff", ""));
  EXPECT_TRUE(Covered("STAFF", ""));
  EXPECT_TRUE(Covered("cn=staff,ou=groups,dc=example", ""));
  EXPECT_TRUE(Covered("cn = Staff , ou=groups , dc=Example", ""));
  EXPECT_TRUE(Covered("a,b", ""));
  EXPECT_FALSE(Covered("people", ""));  // Not a cn.
  EXPECT_FALSE(Covered("staf", ""));
  EXPECT_FALSE(Covered("cn=staff", ""));
  EXPECT_FALSE(Covered("cn=staff,ou=other,dc=example", ""));
}

TEST(EntitledTest, ByUser) {
  EXPECT_TRUE(Covered("", "Jan"));
  EXPECT_TRUE(Covered("", "jan"));
  EXPECT_FALSE(Covered("", "jane"));
  EXPECT_FALSE(Covered("", ""));
}

TEST(EntitledTest, ACnThatLooksLikeADnIsNoWayIn) {
  v1::SignIn person;
  person.set_user("eve");
  person.add_groups("cn=cn\\=staff\\,ou\\=groups\\,dc\\=example,dc=evil");
  v1::Entitlement entitlement;
  entitlement.set_group("cn=staff,ou=groups,dc=example");
  EXPECT_FALSE(Entitled(person).By(entitlement));
}

TEST(NamesTest, GroupsByCn) {
  for (const char* dn : {"cn=beheer,ou=groups,dc=nl", "CN=Beheer,dc=nl", "cn=beheer",
                         "cn = beheer , dc=nl", "cn=be\\heer,dc=nl"}) {
    EXPECT_TRUE(GroupIs("Beheer", dn)) << dn;
  }
  for (const char* dn :
       {"", "cn=", "cn=,dc=nl", "ou=beheer,dc=nl", "cn=beheerders,dc=nl", "cn=behee,dc=nl",
        "cn=beheer+sn=x,dc=nl", "cn=be heer,dc=nl", "cn=beheer\\,x,dc=nl"}) {
    EXPECT_FALSE(GroupIs("beheer", dn)) << dn;
  }
  EXPECT_TRUE(GroupIs("burger zaken", "cn=Burger Zaken,dc=nl"));
  EXPECT_FALSE(GroupIs("burger zaken", "cn=BurgerZaken,dc=nl"));
  EXPECT_FALSE(GroupIs("", "cn=,dc=nl"));
}

TEST(NamesTest, Kinds) {
  v1::Resource resource;
  EXPECT_EQ(KindOf(resource), v1::RESOURCE_KIND_UNSPECIFIED);
  resource.mutable_site();
  EXPECT_EQ(KindName(KindOf(resource)), "site");
  resource.mutable_host();
  EXPECT_EQ(KindName(KindOf(resource)), "host");
  resource.mutable_image();
  EXPECT_EQ(KindName(KindOf(resource)), "image");
  resource.mutable_pool();
  EXPECT_EQ(KindName(KindOf(resource)), "pool");
  resource.mutable_entitlement();
  EXPECT_EQ(KindName(KindOf(resource)), "entitlement");
}

TEST(NamesTest, AMachinesNameSaysWhatItIs) {
  EXPECT_EQ(IdentityOfPeer("client/tc-017"), v1::IDENTITY_CLIENT);
  EXPECT_EQ(IdentityOfPeer("host/hv-a1.site-a"), v1::IDENTITY_HOST);
  EXPECT_EQ(IdentityOfPeer("gateway/gw-a"), v1::IDENTITY_GATEWAY);
  EXPECT_EQ(IdentityOfPeer("admin/desk-1"), v1::IDENTITY_ADMIN);
  EXPECT_EQ(IdentityOfPeer("broker/b1"), v1::IDENTITY_BROKER);
  for (const char* other :
       {"", "gateway", "gateway/", "gateway/GW", "gateway/a/b", "gateways/gw-a", " gateway/gw-a",
        "gateway/gw-a ", "werkplek://gateway/gw-a", "/gw-a", "client/gateway/gw-a"}) {
    EXPECT_EQ(IdentityOfPeer(other), v1::IDENTITY_UNSPECIFIED) << other;
  }
}

}  // namespace
}  // namespace werkplek
