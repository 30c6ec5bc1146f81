-- technique: loops in the closing value of a generic for; must: limit
function run(input)
  for _ in next, {}, nil, setmetatable({}, {__close = function() while true do end end}) do end
end
