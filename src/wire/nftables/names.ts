// What may be a name in a table.

/** A name of nft(8), "Lexical conventions", limited to a readable length below the kernel's NFT_NAME_MAXLEN. */
export const identifier = /^[A-Za-z][\w.-]{0,63}$/
/** A device name or a prefix of one with `*`; IFNAMSIZ is 16 with the NUL. */
export const deviceName = /^[^\s/"*]{1,15}$|^[^\s/"*]{1,14}\*$/
/** Printable ASCII that needs no escaping between quotes; with the rule's hash it stays below nft's limit of 128. */
export const commentText = /^[ !#-[\]-~]{1,112}$/
/** As a comment, without the sign of nft's variables; the kernel keeps at most 127 characters (NF_LOG_PREFIXLEN). */
export const logPrefix = /^[ !#%-[\]-~]{1,127}$/
/** A MAC address as this program writes them. */
export const macText = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/
