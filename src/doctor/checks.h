#pragma once

// The pieces of examine(), by subject; each appends its checks. And the few words that they share.

#include <string>
#include <string_view>
#include <vector>

#include "doctor/needs.h"

namespace holdfast::doctor {

void check_descriptors(const Facts& facts, Examination& examination);
void check_handshakes(const Facts& facts, Examination& examination);
void check_tcp(const Facts& facts, Examination& examination);
void check_conntrack(const Facts& facts, Examination& examination);
void check_memory(const Facts& facts, Examination& examination);
void check_machine(const Facts& facts, Examination& examination);

// Sockets of this machine that the demand makes: twice the connections when both ends are here.
std::uint64_t sockets_of(const Demand& demand);
// Bytes for all of it, kernel and user, with a fifth of head-room.
double memory_needed(const Demand& demand, std::uint64_t workers);

// "600,000"; "no limit" for what is as good as one.
std::string number_text(std::uint64_t number);
std::string numbers_text(const std::vector<std::uint64_t>& numbers);
// "sysctl -w net.core.somaxconn=4096"
std::string sysctl_command(const Setting& setting);
// Up to the next multiple, so that figures that people will read are round ones.
std::uint64_t round_up(std::uint64_t number, std::uint64_t multiple);

// A sysctl of one number that must be at least `need`; below it the verdict is `below`. Unknown
// where the kernel has none.
Check at_least(const Facts& facts, std::string_view sysctl, std::uint64_t need, Verdict below,
               std::string why);

}  // namespace holdfast::doctor
