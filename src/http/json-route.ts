/** Operators' endpoints as data: verb, path, the shape of the body, and what answers. */
import type * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readShape } from '../config/json-shape.ts';

/** An operators' endpoint: what it returns is printed as JSON, what it throws as the error body. */
export type JsonRoute = {
  readonly verb: 'get' | 'post';
  /** Begins with `/v1/`. */
  readonly path: string;
  /** `body` is the parsed JSON of a POST, `{}` when it is empty and for a GET. */
  readonly answer: (body: unknown, query: URLSearchParams) => Promise<object> | object;
};

/** Throws the error of a request that says something wrong. */
export function refuseRequest(problem: string): never {
  throw new DataPlaneError('InvalidArgument', problem);
}

/** Returns a route that shows something. */
export function getRoute(path: string, answer: (query: URLSearchParams) => Promise<object> | object): JsonRoute {
  return { verb: 'get', path, answer: (_body, query) => answer(query) };
}

/** Returns a route whose body has a shape; any other is `InvalidArgument` that names the field. */
export function postRoute<Shape extends v.GenericSchema>(
  path: string,
  shape: Shape,
  answer: (body: v.InferOutput<Shape>) => Promise<object> | object,
): JsonRoute {
  return { verb: 'post', path, answer: (body) => answer(readShape(shape, body, refuseRequest)) };
}

/** Returns the JSON of a body. Errors: DataPlaneError `InvalidArgument` when it is none. */
export function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', 'the body is not JSON', { cause });
  }
}
