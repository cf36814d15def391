-- A report has no spec, and so no generation: its conditions are of the moment it was written. It is degraded only where
-- something could not be done; what merely departs is told.
local hs = {
  status = "Progressing",
  message = "Waiting for the operator to look at this namespace"
}
if obj.status == nil or obj.status.conditions == nil then
  return hs
end

local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end
local ready = found["Ready"]
if ready == nil then
  return hs
end

if ready.status == "True" or ready.status == "Unknown" or ready.reason == "NotSelected" then
  hs.status = "Healthy"
elseif ready.reason == "Blocked" then
  hs.status = "Degraded"
elseif ready.reason ~= "Pending" then
  -- Drifted or Weakened: in Audit that is what a report is for, and in Enforce it is being repaired.
  hs.status = "Healthy"
end
hs.message = ready.reason .. ": " .. ready.message
if found["Contested"] ~= nil and found["Contested"].status == "True" then
  hs.message = hs.message .. "; " .. found["Contested"].message
end
return hs
