// Internal to remote/: gRPC's headers and what is generated, for the few files that use them. They
// take seconds to compile.
#pragma once

#include <grpcpp/grpcpp.h>

#include "bytestream.grpc.pb.h"
#include "operations.grpc.pb.h"
#include "remote_asset.grpc.pb.h"
#include "remote_execution.grpc.pb.h"
