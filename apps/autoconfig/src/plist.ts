import { type Element, element, formatXml } from "./xml.ts";

export type PlistValue = string | number | boolean | readonly PlistValue[] | { readonly [key: string]: PlistValue };

const DOCTYPE =
  '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n';

/** Apple's property list, as XML. Numbers are whole. */
export function formatPlist(value: PlistValue): Uint8Array {
  return formatXml(element("plist", [elementOf(value)], { version: "1.0" }), DOCTYPE);
}

function elementOf(value: PlistValue): Element {
  if (typeof value === "string") return element("string", value);
  if (typeof value === "number") return element("integer", String(value));
  if (typeof value === "boolean") return element(String(value));
  if (Array.isArray(value)) return element("array", value.map(elementOf));
  return element(
    "dict",
    Object.entries(value).flatMap(([key, item]) => [element("key", key), elementOf(item)]),
  );
}
