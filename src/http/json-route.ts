/** Operators' endpoints as data: verb, path, the shape of the body, and the handler. */
import type * as v from 'valibot';
import { parseBoundedJson } from '../base/bounded-json.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readShape } from '../config/json-shape.ts';

/** Values and keys of one body: a record may have 100,000. */
const bodyItemsMax = 150_000;

/** An operators' endpoint. Its result is sent as JSON, what it throws as the error body. */
export type JsonRoute = {
  readonly verb: 'get' | 'post' | 'delete';
  /** Begins with `/v1/`. */
  readonly path: string;
  /** `body` is the parsed JSON of a POST or a DELETE; `{}` for a GET or an empty body. */
  readonly answer: (body: unknown, query: URLSearchParams) => Promise<object> | object;
};

/** Throws DataPlaneError `InvalidArgument`. */
export function refuseRequest(problem: string, hint = ''): never {
  throw new DataPlaneError('InvalidArgument', problem, { hint });
}

/** Returns the route of a GET. */
export function getRoute(path: string, answer: (query: URLSearchParams) => Promise<object> | object): JsonRoute {
  return { verb: 'get', path, answer: (_body, query) => answer(query) };
}

/** Returns the route of a POST; a body of another shape is `InvalidArgument`, naming the field. */
export function postRoute<Shape extends v.GenericSchema>(
  path: string,
  shape: Shape,
  answer: (body: v.InferOutput<Shape>) => Promise<object> | object,
): JsonRoute {
  return { verb: 'post', path, answer: (body) => answer(readShape(shape, body, (problem) => refuseRequest(problem))) };
}

/** Returns the route of a DELETE of what its body names, under the rules of `postRoute`. */
export function deleteRoute<Shape extends v.GenericSchema>(
  path: string,
  shape: Shape,
  answer: (body: v.InferOutput<Shape>) => Promise<object> | object,
): JsonRoute {
  return { ...postRoute(path, shape, answer), verb: 'delete' };
}

/** Parses a JSON body; an empty one is `{}`. Errors: those of `parseBoundedJson`. */
export function parseBody(body: Buffer): unknown {
  return body.length === 0 ? {} : parseBoundedJson(body.toString(), 'the body', bodyItemsMax);
}
