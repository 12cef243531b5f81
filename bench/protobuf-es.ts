/** The messages of bsky.Service for @bufbuild/protobuf, built from our generated schema. */
import { create, createFileRegistry, type DescMessage } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_timestamp,
} from '@bufbuild/protobuf/wkt';
import { fieldsByMessage } from '../src/proto/generated/bsky-service.ts';
import type { FieldSchema, FieldType } from '../src/proto/schema.ts';

/** Enums are read as int32, which they are on the wire. */
const typeByField: Readonly<Record<Exclude<FieldType, 'map'>, FieldDescriptorProto_Type>> = {
  string: FieldDescriptorProto_Type.STRING,
  bytes: FieldDescriptorProto_Type.BYTES,
  bool: FieldDescriptorProto_Type.BOOL,
  int32: FieldDescriptorProto_Type.INT32,
  int64: FieldDescriptorProto_Type.INT64,
  double: FieldDescriptorProto_Type.DOUBLE,
  enum: FieldDescriptorProto_Type.INT32,
  message: FieldDescriptorProto_Type.MESSAGE,
  timestamp: FieldDescriptorProto_Type.MESSAGE,
};

function entryName(local: string): string {
  return `${local[0]!.toUpperCase()}${local.slice(1)}Entry`;
}

function describeMessage(name: string, fields: readonly FieldSchema[]): DescriptorProto {
  const maps = fields.filter(([, , , type]) => type === 'map');
  return create(DescriptorProtoSchema, {
    name,
    field: fields.map(([number, fieldName, local, type, label, of]) => {
      const isRepeated = label === 'repeated' || type === 'map';
      const typeName =
        type === 'timestamp'
          ? '.google.protobuf.Timestamp'
          : type === 'map'
            ? `.bsky.${name}.${entryName(local)}`
            : `.bsky.${of}`;
      const isMessage = type === 'message' || type === 'map' || type === 'timestamp';
      return create(FieldDescriptorProtoSchema, {
        name: fieldName,
        number,
        jsonName: local,
        label: isRepeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL,
        type: type === 'map' ? FieldDescriptorProto_Type.MESSAGE : typeByField[type],
        ...(isMessage ? { typeName } : {}),
      });
    }),
    nestedType: maps.map(([, , local, , , of]) =>
      create(DescriptorProtoSchema, {
        name: entryName(local),
        options: { mapEntry: true },
        field: [
          {
            name: 'key',
            number: 1,
            type: FieldDescriptorProto_Type.STRING,
            label: FieldDescriptorProto_Label.OPTIONAL,
          },
          {
            name: 'value',
            number: 2,
            type: FieldDescriptorProto_Type.MESSAGE,
            label: FieldDescriptorProto_Label.OPTIONAL,
            typeName: `.bsky.${of}`,
          },
        ],
      }),
    ),
  });
}

/** Returns the library's description of a message by name, such as `GetActorsResponse`. */
export function protobufEsMessages(): (name: string) => DescMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: 'bsky.proto',
    package: 'bsky',
    syntax: 'proto3',
    dependency: ['google/protobuf/timestamp.proto'],
    messageType: Object.entries(fieldsByMessage).map(([name, fields]) => describeMessage(name, fields)),
  });
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, { file: [file_google_protobuf_timestamp.proto, file] }),
  );
  return (name) => {
    const message = registry.getMessage(`bsky.${name}`);
    if (message === undefined) throw new Error(`the service has no message ${name}`);
    return message;
  };
}
