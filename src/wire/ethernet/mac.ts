// A MAC address as text, lower case with colons, and as its six bytes.

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16))
}
