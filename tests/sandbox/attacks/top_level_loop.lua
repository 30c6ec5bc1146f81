-- technique: loops before run is defined; must: limit
while true do end
function run() return 1 end
