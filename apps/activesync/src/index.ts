export { type Device, forgetDevice, listDevices, type Standing, wipeDevice } from "./device/device.ts";
export { NO_POLICY, type Policy } from "./device/policy.ts";
export { type ActiveSyncOptions, activeSyncSite } from "./door/site.ts";
export { HEARTBEAT_SECONDS_MAX, HEARTBEAT_SECONDS_MIN } from "./limits.ts";
