-- technique: loops in finalizers, set early and late; must: limit
function run(input)
  while true do
    local late = {__gc = true}
    setmetatable({}, late)
    late.__gc = function() while true do end end
    setmetatable({}, {__gc = late.__gc})
  end
end
