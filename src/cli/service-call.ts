/** Calls of `bsky.Service` by Connect JSON, as a router answers them to curl. */
import { adminRequest } from './admin-request.ts';

export type ServiceAddress = { readonly url: string; readonly timeoutMs: number };

/** The fields of a JSON answer; absent ones have their default. */
export type ServiceAnswer = Readonly<Record<string, unknown>>;

/** Returns the path of a method. */
export function methodPath(method: string): string {
  return `/bsky.Service/${method}`;
}

/** Calls one method. Errors: DataPlaneError as the router raised it. */
export async function callService(address: ServiceAddress, method: string, request: object): Promise<ServiceAnswer> {
  const { url, timeoutMs } = address;
  return (await adminRequest({
    url,
    path: methodPath(method),
    body: request,
    token: null,
    timeoutMs,
  })) as ServiceAnswer;
}

/** Returns a field that is a list of objects; proto3 JSON leaves out an empty one. */
export function listOf(answer: ServiceAnswer, field: string): readonly ServiceAnswer[] {
  const value = answer[field];
  return Array.isArray(value) ? (value as ServiceAnswer[]) : [];
}

/** Returns a number of a list field, 0 when it is absent. */
export function numberAt(answer: ServiceAnswer, field: string, index: number): number {
  const value = answer[field];
  return Array.isArray(value) && typeof value[index] === 'number' ? value[index] : 0;
}
