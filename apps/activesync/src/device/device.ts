import type { AccountSession, NewRecord } from "@restante/engine";
import { decode, encode } from "cborg";

/** A phone as its owner's account knows it, in the log: a store must not undo a wipe. The record of this type, by its id. */
export const DEVICES = "device";

export interface Device {
  readonly id: string;
  readonly type: string;
  readonly firstSeenMs: number;
  /** The phone's description of itself. */
  readonly name: string;
  readonly model: string;
  readonly os: string;
  readonly userAgent: string;
  /** The key by which it has agreed to the policy, 0 where it has not; the policy, by its hash. */
  readonly policyKey: number;
  readonly policy: string;
  /** The key that it was told at last, to agree by. */
  readonly offeredKey: number;
  readonly standing: Standing;
}

/** Served; to erase the account's data, or all that it holds, when it next comes; done with that, and let in no more. */
export type Standing = "served" | "wipe-account" | "wipe-all" | "wiped";
const STANDINGS: readonly Standing[] = ["served", "wipe-account", "wipe-all", "wiped"];

const FORMAT = 1;

export function encodeDevice(device: Device): NewRecord {
  const { id, type, firstSeenMs, name, model, os, userAgent, policyKey, policy, offeredKey, standing } = device;
  const fields = [type, firstSeenMs, name, model, os, userAgent, policyKey, policy, offeredKey];
  return { type: DEVICES, id, value: encode([FORMAT, ...fields, STANDINGS.indexOf(standing)]) };
}

export function decodeDevice(id: string, bytes: Uint8Array): Device | undefined {
  const value: unknown = decode(bytes);
  if (!Array.isArray(value) || value[0] !== FORMAT) return undefined;
  const [, type, firstSeenMs, name, model, os, userAgent, policyKey, policy, offeredKey, standing] = value as [
    ...[number, string, number, string, string, string, string, number, string, number, number],
  ];
  const fields = { type, firstSeenMs, name, model, os, userAgent, policyKey, policy, offeredKey };
  return { id, ...fields, standing: STANDINGS[standing] ?? "served" };
}

/** Undefined for one that was never here. Errors: `unavailable`. */
export async function findDevice(session: AccountSession, id: string): Promise<Device | undefined> {
  const bytes = await session.readRecord(DEVICES, id);
  return bytes && decodeDevice(id, bytes);
}

/** The account's phones, the first first. Errors: `unavailable`. */
export async function listDevices(session: AccountSession): Promise<Device[]> {
  const found: Device[] = [];
  for (const { id } of session.state.records.list(DEVICES)) {
    const device = await findDevice(session, id);
    if (device) found.push(device);
  }
  return found.sort((a, b) => a.firstSeenMs - b.firstSeenMs);
}

export function newDevice(id: string, type: string, userAgent: string, nowMs: number): Device {
  return {
    id,
    type,
    firstSeenMs: nowMs,
    name: "",
    model: "",
    os: "",
    userAgent,
    policyKey: 0,
    policy: "",
    offeredKey: 0,
    standing: "served",
  };
}

/** Asks a phone to erase what it has. Resolves with false for one that is not known. Errors: `unavailable`. */
export async function wipeDevice(session: AccountSession, id: string, all: boolean): Promise<boolean> {
  const device = await findDevice(session, id);
  if (!device) return false;
  await session.writeRecords([encodeDevice({ ...device, standing: all ? "wipe-all" : "wipe-account" })]);
  return true;
}

/** Forgets a phone and all that is kept of what it holds. Errors: `unavailable`. */
export async function forgetDevice(session: AccountSession, id: string): Promise<void> {
  await session.writeRecords([{ type: DEVICES, id, value: undefined }]);
  await session.devices.forget(id);
}
