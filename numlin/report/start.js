
// Begin: what the address asks for, then what it comes to ask for.
on(window, "hashchange", () => preset(location.hash));
for (const address of [location.search, location.hash]) preset(address);
show();
if (location.hash.includes("=")) find("playground").scrollIntoView();
