/** Of RFC 8188, what tests use of it. */
declare module "http_ece" {
  export function decrypt(
    body: Uint8Array,
    options: {
      readonly version: "aes128gcm";
      readonly privateKey: import("node:crypto").ECDH;
      readonly authSecret: string;
    },
  ): Buffer;
}
