// Colours and type of every page that Causeway makes. Each colour has one meaning, which a form or a word says too.

export const tokenStyle = `
:root{color-scheme:light dark;
--paper:#f6f5f1;--card:#fff;--sunk:#efede7;--ink:#1a1e23;--soft:#545a63;--line:#d8d5cc;--edge:#868b93;--focus:#0b57d0;--walk:#0b57d0;--on-walk:#fff;
--good:#0b6247;--good-bg:#dff2e9;--bad:#a3200c;--bad-bg:#fce9e4;--unknown:#744c00;--unknown-bg:#fbf0d4;
--link:#dde1e7;--on-link:#29323e;--network:#cbdcfb;--on-network:#12326b;--transport:#bfe8df;--on-transport:#06443b;--tunnel:#e0d2f8;--on-tunnel:#3e1f75;--payload:#eceae4;--on-payload:#4d535b;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;--mono:ui-monospace,"SF Mono","Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media screen and (prefers-color-scheme:dark){:root{
--paper:#121518;--card:#1b1f23;--sunk:#24292e;--ink:#e9e7e2;--soft:#a9b0b9;--line:#363c43;--edge:#7b838d;--focus:#8ab4f8;--walk:#8ab4f8;--on-walk:#0c1a30;
--good:#6fd6ae;--good-bg:#12332a;--bad:#ff9f8c;--bad-bg:#3c1a14;--unknown:#f0c462;--unknown-bg:#382b0c;
--link:#3a434e;--on-link:#e2e7ee;--network:#21427a;--on-network:#dfeaff;--transport:#155048;--on-transport:#d5f5ee;--tunnel:#4b317c;--on-tunnel:#eee3ff;--payload:#2a2f35;--on-payload:#b9bfc8}}
`
