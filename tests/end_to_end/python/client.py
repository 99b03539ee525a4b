"""A foreign gRPC client: knows the reflection protocol and nothing of Adal's files.

usage: client.py ADDRESS SERVER_NAME CA CERTIFICATE KEY list
       client.py ADDRESS SERVER_NAME CA CERTIFICATE KEY record STREAM_ID

Prints one JSON object. Exit status 3: the call was refused; the object says how.
Needs python3-grpcio and python3-protobuf of Debian; no generated code, no reflection package.
"""

import json
import sys
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

SERVICE = "adal.command.v1.CommandService"
DEADLINE = 30


def message_class(pool, name):
    """The class of a message; the name of the call changed with protobuf 4.22."""
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def reflection_pool():
    """The messages of grpc.reflection.v1 that are used here, by their published numbers."""
    kinds = descriptor_pb2.FieldDescriptorProto
    messages = {
        "ServerReflectionRequest": [
            ("host", 1, kinds.TYPE_STRING, None),
            ("file_by_filename", 3, kinds.TYPE_STRING, None),
            ("file_containing_symbol", 4, kinds.TYPE_STRING, None),
            ("list_services", 7, kinds.TYPE_STRING, None),
        ],
        "FileDescriptorResponse": [("file_descriptor_proto", 1, kinds.TYPE_BYTES, "many")],
        "ServiceResponse": [("name", 1, kinds.TYPE_STRING, None)],
        "ListServiceResponse": [("service", 1, "ServiceResponse", "many")],
        "ErrorResponse": [
            ("error_code", 1, kinds.TYPE_INT32, None),
            ("error_message", 2, kinds.TYPE_STRING, None),
        ],
        "ServerReflectionResponse": [
            ("file_descriptor_response", 4, "FileDescriptorResponse", None),
            ("list_services_response", 6, "ListServiceResponse", None),
            ("error_response", 7, "ErrorResponse", None),
        ],
    }
    # The choices of a request and of a response are one-of groups.
    choices = {"ServerReflectionRequest": "message_request", "ServerReflectionResponse": "answer"}
    file = descriptor_pb2.FileDescriptorProto(
        name="reflection_used_here.proto", package="grpc.reflection.v1", syntax="proto3"
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        if name in choices:
            message.oneof_decl.add(name=choices[name])
        for field, number, kind, many in fields:
            entry = message.field.add(name=field, number=number)
            entry.label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
            if isinstance(kind, str):
                entry.type = kinds.TYPE_MESSAGE
                entry.type_name = f".{file.package}.{kind}"
            else:
                entry.type = kind
            if name in choices and field != "host":
                entry.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return pool


class Reflection:
    """Asks a server what it offers."""

    def __init__(self, channel):
        pool = reflection_pool()
        self.request = message_class(pool, "grpc.reflection.v1.ServerReflectionRequest")
        response = message_class(pool, "grpc.reflection.v1.ServerReflectionResponse")
        self.call = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=self.request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def ask(self, **question):
        answers = list(self.call(iter([self.request(**question)]), timeout=DEADLINE))
        if len(answers) != 1:
            raise SystemExit(f"{len(answers)} answers to one question: {question}")
        if answers[0].HasField("error_response"):
            raise SystemExit(f"{question}: {answers[0].error_response.error_message}")
        return answers[0]

    def services(self):
        answer = self.ask(list_services="*").list_services_response
        return sorted(service.name for service in answer.service)

    def pool_of(self, symbol):
        """A pool with the file of a symbol and every file that it needs."""
        files = {}
        self.collect(self.ask(file_containing_symbol=symbol), files)
        pool = descriptor_pool.DescriptorPool()
        added = set()

        def add(name):
            if name in added:
                return
            added.add(name)
            for needed in files[name].dependency:
                add(needed)
            pool.AddSerializedFile(files[name].SerializeToString())

        for name in list(files):
            add(name)
        return pool

    def collect(self, answer, files):
        for serialized in answer.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
            if file.name in files:
                continue
            files[file.name] = file
            for needed in file.dependency:
                if needed not in files:
                    self.collect(self.ask(file_by_filename=needed), files)


def record(channel, stream):
    """Records an appeal by what reflection says of the method; returns the receipt."""
    pool = Reflection(channel).pool_of(SERVICE)
    method = pool.FindServiceByName(SERVICE).FindMethodByName("Execute")
    command = message_class(pool, method.input_type.full_name)
    receipt = message_class(pool, method.output_type.full_name)
    appeal = {
        "kind": "complaint",
        "form": "electronic",
        "character": "individual",
        "applicants": 1,
        "language": "kk",
        "channel": "web",
        "personal": {"name": "Made Up", "text": "written by a client in Python"},
    }
    meta = {"command_id": str(uuid.uuid4()), "stream_id": stream}
    request = json_format.ParseDict({"meta": meta, "receive_appeal": appeal}, command())
    call = channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=command.SerializeToString,
        response_deserializer=receipt.FromString,
    )
    return json_format.MessageToDict(call(request, timeout=DEADLINE))


def main():
    address, server_name, ca, certificate, key, what = sys.argv[1:7]
    parts = []
    for path in (ca, key, certificate):
        with open(path, "rb") as file:
            parts.append(file.read())
    credentials = grpc.ssl_channel_credentials(*parts)
    options = [("grpc.ssl_target_name_override", server_name)]
    with grpc.secure_channel(address, credentials, options=options) as channel:
        try:
            if what == "list":
                answer = {"services": Reflection(channel).services()}
            elif what == "record":
                answer = record(channel, sys.argv[7])
            else:
                raise SystemExit(f"{what} is neither list nor record")
        except grpc.RpcError as error:
            print(json.dumps({"code": error.code().name, "details": error.details()}))
            raise SystemExit(3) from None
    print(json.dumps(answer))


main()
