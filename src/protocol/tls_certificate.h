#pragma once

// What is said of an X.509 certificate to people and to handlers (RFC 5280).

#include <string>

#include "holdfast/request.h"

struct x509_st;

namespace holdfast::protocol {

// "CN=alice,O=Example" (RFC 2253: the nearest name first).
std::string subject_text(const x509_st* certificate);

ClientCertificate describe_certificate(const x509_st* certificate);

}  // namespace holdfast::protocol
